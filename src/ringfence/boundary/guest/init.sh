#!/bin/busybox sh
# The guest's first program: mounts what the host shares, brings the network up, runs the one command there is,
# says how it ended, and turns the machine off. Words of the kernel's command line that it reads:
#   rf.gate4 rf.own4 rf.gate6 rf.own6 (addresses), rf.tty (the command gets the console), rf.tmp=MODE:SIZE:PATH …
export PATH=/bin
/bin/busybox --install -s /bin
mkdir -p /proc /dev /sys /new
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
read -r words </proc/cmdline
for word in $words; do
  case $word in rf.*=*) name=${word%%=*}; eval "${name#rf.}=\${word#*=}" ;; rf.tty) tty=yes ;; esac
done

off() { # say what is wrong, and stop
  echo "ringfence: in the guest: $1" >/dev/console
  echo "exit 125" >&9
  reboot -f
}

for port in /sys/class/virtio-ports/*; do # each by its name, whatever its number
  [ -e "$port/name" ] && ln -s "/dev/${port##*/}" "/dev/$(cat "$port/name")"
done
exec 9>/dev/rf.say

mount -t virtiofs -o nosuid,nodev root /new || off "the shared root could not be mounted"
mount -t proc -o nosuid,nodev,noexec proc /new/proc
mount -t tmpfs -o nosuid,noexec,mode=0755,size=1m dev /new/dev
for device in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
  set -- $device
  mknod -m 666 "/new/dev/$1" c "$2" "$3"
done
mkdir -p /new/dev/pts /new/dev/shm
mount -t devpts -o nosuid,noexec,mode=620,ptmxmode=666,newinstance devpts /new/dev/pts
ln -s pts/ptmx /new/dev/ptmx
ln -s /proc/self/fd /new/dev/fd
ln -s /proc/self/fd/0 /new/dev/stdin
ln -s /proc/self/fd/1 /new/dev/stdout
ln -s /proc/self/fd/2 /new/dev/stderr
mount -t tmpfs -o "nosuid,nodev,mode=1777${scratch:+,size=$scratch}" shm /new/dev/shm
mount -o remount,ro,nosuid,noexec /new/dev
for covered in keys key-users timer_list kallsyms kcore sched_debug slabinfo latency_stats sysrq-trigger; do
  [ -e "/new/proc/$covered" ] && mount --bind /dev/null "/new/proc/$covered" &&
    mount -o remount,bind,ro,nodev,nosuid,noexec "/new/proc/$covered"
done
mount --bind /new/proc/sys /new/proc/sys && mount -o remount,ro,bind /new/proc/sys

ip link del dummy0 2>/dev/null
ip link set lo up
ip addr add "$own4/30" dev eth0
ip -6 addr add "$own6/64" dev eth0 nodad 2>/dev/null || ip -6 addr add "$own6/64" dev eth0
ip link set eth0 up
ip route add default via "$gate4"
ip -6 route add default via "$gate6"
hostname ringfence
ulimit -c 0

if [ -n "$tty" ]; then
  chown "$uid" /dev/hvc0
  exec 5<>/dev/hvc0 6>&5 7>&5
else
  exec 5</dev/rf.in 6>/dev/rf.out 7>/dev/rf.err
fi
exec 8</dev/rf.ctl
echo ready >&9
if [ -n "$tty" ]; then
  read -r word rows columns <&8 && stty -F /dev/hvc0 rows "$rows" cols "$columns"
  setsid -c chroot /new "$enter" <&5 >&6 2>&7 8<&- 9>&- 5<&- 6>&- 7>&- &
else
  setsid chroot /new "$enter" <&5 >&6 2>&7 8<&- 9>&- 5<&- 6>&- 7>&- &
fi
command=$!
while read -r word one two; do
  case $word in
    size) stty -F /dev/hvc0 rows "$one" cols "$two" ;;
    signal) kill "-$one" "-$command" 2>/dev/null || kill "-$one" "$command" ;;
  esac
done <&8 9>&- 5<&- 6>&- 7>&- &
wait "$command"
status=$?
kill -9 -1 2>/dev/null # what the command left running, and the loop above: they hold the ports
sync
echo "exit $status" >&9
# The host's word is put behind all that was written. It answers when it has read that far: the machine going
# off takes with it what still waits in a port.
word=
while [ "$word" != mark ]; do read -r word mark <&8 || break; done
if [ -n "$tty" ]; then
  timeout 2 stty -F /dev/hvc0 sane # waits until everything is out, but where the command has stopped the terminal
  echo drained >&9
else
  echo "$mark" >&6
  echo "$mark" >&7
fi
read -r word <&8
reboot -f
