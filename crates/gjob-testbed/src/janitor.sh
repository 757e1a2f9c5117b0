# Sweeps the bed in directory $1 when stdin closes: ends all its processes,
# takes its network down and removes the directory (unless $2 is "keep").
#
# Signals go to three kinds of process only: a listening sshd whose arguments
# name this bed, with all below it; connections that a stopped sshd left behind,
# by pid and start time; and whatever carries this bed's mark in its environment.
trap '' HUP INT TERM
PATH=$PATH:/usr/sbin:/sbin
bed=$1

while read -r _; do :; done

below() {
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
        echo "$child"
        below "$child"
    done
}

is_listener() {
    tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF " -f $bed/"
}

started_at() {
    sed 's/.*) //' 2>/dev/null <"/proc/$1/stat" | cut -d ' ' -f 20
}

for host in "$bed"/h*; do
    pid=$(cat "$host/sshd.pid" 2>/dev/null)
    if [ -n "$pid" ] && is_listener "$pid"; then
        kill -STOP "$pid"
        kill -KILL $(below "$pid") "$pid"
    fi
    [ -e "$host/orphans" ] || continue
    while read -r pid start; do
        [ "$(started_at "$pid")" != "$start" ] || kill -KILL "$pid"
    done <"$host/orphans"
done 2>/dev/null

# What is killed may have started another a moment before: look again.
round=0
while [ $round -lt 50 ]; do
    found=$(grep -lsF "TESTBED_DIR=$bed" /proc/[0-9]*/environ)
    [ -n "$found" ] || break
    for environ in $found; do
        pid=${environ#/proc/}
        kill -KILL "${pid%/environ}" 2>/dev/null
    done
    round=$((round + 1))
    [ $round -lt 3 ] || sleep 0.1
done

# The range's route goes last: while it stands, nobody else takes the range.
if [ -e "$bed/links" ]; then
    while read -r link; do ip link del "$link"; done <"$bed/links"
fi 2>/dev/null
[ ! -e "$bed/range" ] || ip route del unreachable "$(cat "$bed/range")" metric 4000

# A directory without a lock is not taken for abandoned later.
if [ "$2" = keep ]; then rm -f "$bed/lock"; else rm -rf "$bed"; fi
