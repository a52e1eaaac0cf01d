#!/bin/busybox sh
# The guest's second program: runs the one command there is, says how it ended, and turns the machine off. What
# stands when it starts (mounts, network) was made by the first, `first.py`. Words of the kernel's command line that
# it reads: rf.uid, rf.enter (what to execute), rf.tty (the command gets the console).
# Every program that is started costs a translated guest 10 ms: what the shell can do itself, it does.
read -r words </proc/cmdline
for word in $words; do
  case $word in rf.*=*) name=${word%%=*}; eval "${name#rf.}=\${word#*=}" ;; rf.tty) tty=yes ;; esac
done

for port in /sys/class/virtio-ports/*; do # each by its name, whatever its number
  read -r name <"$port/name" && eval "${name#rf.}=/dev/${port##*/}"
done
exec 9>"$say"
ulimit -c 0

if [ -n "$tty" ]; then
  chown "$uid" /dev/hvc0
  exec 5<>/dev/hvc0 6>&5 7>&5
else
  exec 5<"$in" 6>"$out" 7>"$err"
fi
exec 8<"$ctl"
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
exec reboot -f
