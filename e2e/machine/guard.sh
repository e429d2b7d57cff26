# shellcheck shell=bash
# Takes one machine down and removes what it left on the host, once standard input closes: when the
# process that booted it closes it, or has died, however it died.
#   arguments: name, directory, directory of its cgroups, the same in the v1 hierarchy or ""
name=$1 dir=$2 cgroups=$3 legacy=$4

cat >/dev/null

# A process that is just being started may miss one kill.
for _ in {1..600}; do
	populated=
	for cgroup in "$cgroups/$name"-*; do
		grep -qs 'populated 1' "$cgroup/cgroup.events" || continue
		populated=yes
		echo 1 2>/dev/null >"$cgroup/cgroup.kill"
	done
	[ "$populated" ] || break
	sleep 0.05
done

for tree in "$cgroups/$name"-* ${legacy:+"$legacy/$name"-*}; do
	[ ! -d "$tree" ] || find "$tree" -depth -type d -exec rmdir {} + 2>/dev/null
done
rm -rf "/run/systemd/nspawn/propagate/$name" "/run/systemd/nspawn/unix-export/$name"
# A tmpfs where the disk cannot hold an overlay's upper layer.
umount --lazy "$dir" 2>/dev/null
rm -rf --one-file-system "$dir"
rm -f "$dir.lock"
