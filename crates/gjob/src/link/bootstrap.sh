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

    # A login without a usable PATH: jobs need a usable one as well.
    if ! command -v uname >/dev/null 2>&1 || ! command -v mkdir >/dev/null 2>&1; then
        PATH=${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
        export PATH
    fi
    how=plain
    command -v gzip >/dev/null 2>&1 && how=gzip
    printf '\ngjob-bootstrap ready 1 %s %s\n' "$how" "$(uname -s -m)"

    IFS= read -r results && IFS= read -r protocol && IFS= read -r hash &&
        IFS= read -r trust && IFS= read -r token || exit 1
    case $results in
    /*) ;;
    *)
        [ -n "${HOME:-}" ] || fail home 'HOME is not set'
        [ -d "$HOME" ] || fail home "$HOME does not exist"
        results=$HOME/$results
        ;;
    esac
    bin=$results/.gjob/bin
    program=$bin/$hash

    # The name says what it holds: it got its name when it had been verified.
    if [ -s "$program" ] && [ -x "$program" ]; then
        if [ "$trust" = yes ] || "$program" agent --verify "$hash" </dev/null >/dev/null 2>&1; then
            start "$program"
        fi
    fi
    if [ "$trust" = yes ] && command -v gjob >/dev/null 2>&1 &&
        [ "$(gjob agent --protocol </dev/null 2>/dev/null)" = "$protocol" ]; then
        start gjob
    fi
    [ "$hash" != none ] || fail program 'there is none to send'

    # The mask holds for the subshells only: jobs are to see the user's own.
    problem=$(umask 077 && LC_ALL=C mkdir -p "$bin" 2>&1) || fail create "$bin: $problem"
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
    problem=$("$new" agent --verify "$hash" 2>&1 </dev/null) ||
        fail verify "status $?: $problem"

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
