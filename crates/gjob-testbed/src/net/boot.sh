# The first process of a host in namespaces of its own, then its sshd.
# Arguments: host name, address, the test's address, the test's MAC, a file for
# the boot id; then sshd and its arguments.
set -e
PATH=$PATH:/usr/sbin:/sbin
name=$1 address=$2 gateway=$3 mac=$4 boot_id=$5
shift 5

hostname "$name" 2>/dev/null || echo "$name" >/proc/sys/kernel/hostname
mount --bind "$boot_id" /proc/sys/kernel/random/boot_id

# The test moves the link in, now that there is a namespace to move it to.
echo ready
read -r _

ip link set lo up
ip address add "$address/24" dev eth0
ip link set eth0 up
ip neighbour replace "$gateway" lladdr "$mac" dev eth0 nud permanent

# As process 1 it waits for every orphan, as an init does.
exec "$@"
