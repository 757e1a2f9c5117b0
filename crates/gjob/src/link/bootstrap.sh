# Gets gjob's worker program to this host and starts it. Fed to /bin/sh as its
# input; all of it is one function, so that a cut connection runs nothing.
gjob_bootstrap() {
    # fail KIND TEXT...: the last word to the manager.
    fail() {
        kind=$1
        shift
        printf 'gjob-bootstrap failed %s %s\n' "$kind" "$(printf '%s' "$*" | tr '\n' ' ')"
        exit 1
    }
    start() {
        printf 'gjob-bootstrap starting\n'
        exec "$1" agent
    }

    # Nothing is run that another user could have put there. The rules are those of
    # gjob-core/src/trust.rs: what a path leads to is ours or root's, and so is each
    # directory above it, up to the home directory; others cannot write to it, or
    # cannot get there.
    check_place() {
        at=$1
        writable=
        while :; do
            # Its mode, links, owner and group come first.
            set -- "$at" $(LC_ALL=C ls -ldn "$at" 2>/dev/null)
            case ${4:-} in
            '') fail unsafe "$at: its owner cannot be seen" ;;
            0 | "$root" | "$user") ;;
            *) fail unsafe "$at: it belongs to user $4" ;;
            esac
            case $sticky$2 in
            *l?????????) fail unsafe "$at: it is a symbolic link" ;;
            yes?????????[tT]*) ;;
            no????????w* | yes????????w*) writable=${writable:-$at: other users can write to it} ;;
            no?????w* | yes?????w*)
                # A plus stands for a list that grants more.
                case $2 in *+) set -- "$at" "$2" '' '' list ;; esac
                [ "$5" = 0 ] || [ "$5" = "$(private_group)" ] ||
                    writable=${writable:-$at: its group can write to it}
                ;;
            *------ | *------.) writable= ;;
            esac
            case $at in "$home" | /) break ;; esac
            at=${at%/*}
            at=${at:-/}
            sticky=yes
        done
        [ -z "$writable" ] || fail unsafe "$writable"
    }
    # The group that only the user is in.
    private_group() {
        name=$(id -un 2>/dev/null) gid=$(id -g)
        [ "$name" = "$(id -gn 2>/dev/null)" ] || [ "$gid" = "$user" ] || return 0
        # It may be another's first group as well, without a word in its own line.
        while IFS=: read -r other _ _ number _; do
            case $number:$other in "$gid:$name") ;; "$gid:"*) return 0 ;; esac
        done </etc/passwd
        listed=
        while IFS=: read -r _ _ number members; do
            case $number:$members in
            "$gid:" | "$gid:$name") listed=yes ;;
            "$gid:"*) return 0 ;;
            esac
        done </etc/group
        [ -z "$listed" ] || printf %s "$gid"
    }
    # Whose a file is; nobody's if everybody can write to it.
    owner() {
        set -- $(LC_ALL=C ls -ldnL "$1" 2>/dev/null)
        case ${1:-} in ????????w*) ;; *) printf %s "${3:-}" ;; esac
    }
    # True for what is there and is no file of its own.
    is_odd() {
        [ -h "$1" ] || { [ -e "$1" ] && [ ! -f "$1" ]; }
    }
    # How long a file is, bytes.
    length_of() {
        set -- $(LC_ALL=C ls -ldn "$1" 2>/dev/null)
        printf %s "${5:-}"
    }
    # Makes a directory, and those above it, for this user alone: where a directory has a
    # default access control list, the mask does not count.
    make_private() {
        [ -d "$1" ] && return
        case $1 in ?*/*) [ -e "${1%/*}" ] || make_private "${1%/*}" || return ;; esac
        # Another bootstrap may be first.
        LC_ALL=C mkdir -m 700 "$1" || [ -d "$1" ]
    }
    # A gjob that is installed serves where none can be sent.
    start_installed() {
        installed=$(command -v gjob 2>/dev/null) || return 0
        case $installed in /*) ;; *) return 0 ;; esac
        place=$(cd -P "${installed%/*}/" 2>/dev/null && pwd -P) || return 0
        installed=${place%/}/${installed##*/}
        # Whoever could change the directory could make it lead to any program.
        (sticky=no && check_place "$place") >/dev/null || return 0
        if [ -h "$installed" ]; then
            installed=$(readlink -f "$installed" 2>/dev/null) || return 0
        fi
        (sticky=no && check_place "$installed") >/dev/null || return 0
        if [ "$("$installed" agent --protocol </dev/null 2>/dev/null)" = "$protocol" ]; then
            start "$installed"
        fi
    }

    # A login without a usable PATH: jobs need a usable one as well.
    if ! command -v uname >/dev/null 2>&1 || ! command -v mkdir >/dev/null 2>&1; then
        PATH=${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
        export PATH
    fi
    how=plain
    command -v gzip >/dev/null 2>&1 && how=gzip
    printf '\ngjob-bootstrap ready 1 %s %s\n' "$how" "$(uname -s -m)"

    IFS= read -r results && IFS= read -r protocol && IFS= read -r hash &&
        IFS= read -r length && IFS= read -r trust && IFS= read -r token || exit 1
    case $results in
    /*) ;;
    *)
        [ -n "${HOME:-}" ] || fail home 'HOME is not set'
        [ -d "$HOME" ] || fail home "$HOME does not exist"
        results=$HOME/$results
        ;;
    esac
    # Names with wildcards stay as they are.
    set -f
    user=$(id -u) root=$(owner /) home=$(cd -P "${HOME:-/}" 2>/dev/null && pwd -P)
    if [ "$hash" = none ]; then
        [ "$trust" = yes ] && start_installed
        fail program 'there is none to send'
    fi

    # The mask holds for the subshells only: jobs are to see the user's own.
    bin=$results/.gjob/bin
    problem=$(umask 077 && make_private "$bin" 2>&1) || fail create "$bin: $problem"
    # From here on no symbolic link leads anywhere else.
    real=$(cd -P "$results" && pwd -P) || fail create "$results: it cannot be entered"
    bin=${real%/}/.gjob/bin
    program=$bin/$hash
    sticky=no
    check_place "$bin"

    # A job may have put anything in its place.
    if is_odd "$program"; then
        # Another bootstrap may be first.
        problem=$(LC_ALL=C mv -f "$program" "$program.$token.aside" 2>&1) || ! is_odd "$program" ||
            fail create "$program: $problem"
    fi
    # The name says what it holds: it got its name when it had been verified. A program
    # that has replaced it may answer anything, but has another length.
    if [ -s "$program" ] && [ -x "$program" ]; then
        sticky=no
        check_place "$program"
        if [ "$(length_of "$program")" != "$length" ]; then
            trust=no
        elif [ "$trust" = yes ] || "$program" agent --verify "$hash" </dev/null >/dev/null 2>&1; then
            start "$program"
        fi
    fi
    find "$bin" -name '.new-*' -mtime +1 -exec rm -f {} \; 2>/dev/null
    new=$bin/.new-$token
    trap 'rm -f "$new"' 0
    trap 'exit 1' HUP INT TERM PIPE

    printf 'gjob-bootstrap send\n'
    IFS= read -r size || exit 1
    if [ "$how" = gzip ]; then
        problem=$(umask 077 && export LC_ALL=C && { head -c "$size" | gzip -dc >"$new"; } 2>&1) ||
            fail write "$new: $problem"
    else
        problem=$(umask 077 && export LC_ALL=C && { head -c "$size" >"$new"; } 2>&1) ||
            fail write "$new: $problem"
    fi
    chmod 700 "$new"
    if problem=$("$new" agent --verify "$hash" 2>&1 </dev/null); then
        :
    else
        problem="status $?: $problem"
        # Such as where nothing below the home directory can be run.
        [ "$trust" = yes ] && rm -f "$new" && start_installed
        fail verify "$problem"
    fi

    # Another bootstrap may have been first, and its program be running: a file
    # in use is not replaced, unless it has just been found to be bad.
    if [ "$trust" = yes ] && ln "$new" "$program" 2>/dev/null; then
        rm -f "$new"
    elif [ "$trust" = yes ] && [ -s "$program" ] && [ -x "$program" ]; then
        rm -f "$new"
    else
        problem=$(LC_ALL=C mv -f "$new" "$program" 2>&1) || fail create "$program: $problem"
    fi
    trap - 0 HUP INT TERM PIPE
    start "$program"
}
gjob_bootstrap
