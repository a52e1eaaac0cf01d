#!/machine/busybox sh
# In the jail: starts the file server ($1 is its command line), then becomes QEMU (the rest).
b=/machine/busybox
server=$1
shift
# The guest waits for its files for ever: where the server dies, QEMU (this process) has to die as well.
( $server >/run/server.log 2>&1; [ ! -e /run/begun ] || kill -9 $$ ) &
until [ -S /run/fs.sock ]; do
  kill -0 $! 2>/dev/null || { $b cat /run/server.log >&2; exit 125; }
  $b usleep 2000
done
: >/run/begun
exec "$@"
