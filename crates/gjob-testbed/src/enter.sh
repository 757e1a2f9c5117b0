#!/bin/sh
# What sshd starts in place of the client's command: the same, at home in here.
# SHLVL goes because bash reads ~/.bashrc under sshd only when it comes first.
unset SHLVL
HOME='@HOME@' SHELL='@SHELL@'
export HOME SHELL
cd "$HOME" || exit 1
if [ -z "${SSH_ORIGINAL_COMMAND+set}" ]; then
    exec "$SHELL" -l
fi
command=$SSH_ORIGINAL_COMMAND
unset SSH_ORIGINAL_COMMAND
exec "$SHELL" -c "$command"
