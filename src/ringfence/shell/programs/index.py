"""Which module knows which program. `scripts`' twin of it is a test: the modules' own tables say the same."""

_FAMILIES = {
    "awk": "awk gawk mawk nawk original-awk goawk igawk",
    "changers": """cp gcp mv ln install rm grm rmdir trash trash-put srm unlink link mkdir mktemp mkfifo mknod
    touch truncate shred tee sponge chmod chown chgrp dd split csplit patch rename prename mmv""",
    "find": "find gfind",
    "git": "git",
    "plain": """echo true false : sleep usleep yes nproc arch uname uptime pwd whoami id groups logname users
    tty who w expr factor which whereis type tput cal ncal free vmstat lscpu lsblk lsusb lspci
    getconf locale kill pkill killall pgrep pidof ps sync clear reset test [ printf basename dirname
    numfmt pathchk mesg printenv nl-langinfo tsort-none ulimit umask wait jobs exit return break
    continue shift times logout fg bg disown suspend dirs cksum-none hash-none lsb_release sw_vers
    getent hostid runlevel last lastlog stty ipcs lsns figlet cowsay banner fortune toe units
    uuidgen pwgen date gdate tr seq hostname""",
    "readers": """md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum b3sum cksum sum shasum md5 crc32
    cat tac rev head tail wc nl od hexdump hd xxd strings base64 base32 basenc cut uniq comm join
    paste diff colordiff cmp diff3 sdiff fold fmt pr expand unexpand column file stat du df readlink
    realpath ls dir vdir gls tree jq shuf iconv sort tsort zcat gzcat bzcat xzcat zstdcat lzcat zcmp
    zdiff bat batcat""",
    "search": "grep egrep fgrep rgrep zgrep bzgrep xzgrep ggrep rg ag ack fd fdfind",
    "sed": "sed gsed ssed",
    "wrappers": """timeout gtimeout nice nohup stdbuf time gtime command builtin noglob env genv xargs gxargs watch
    setsid ionice flock chrt taskset numactl prlimit setarch linux32 linux64 unshare nsenter chroot
    strace ltrace perf valgrind catchsegv fakeroot fakechroot proot bwrap firejail dbus-run-session
    xvfb-run systemd-run systemd-inhibit caffeinate unbuffer rlwrap chpst softlimit setpriv capsh
    aa-exec nocorrect exec-line torsocks proxychains proxychains4 tsocks retry hyperfine entr dotenv
    envdir with-contenv tini dumb-init gosu su-exec ld.so""",
}
_OF: dict[str, str] = {}


def module_of(program: str) -> str | None:
    """Return the module that knows a program."""
    if not _OF:
        for module, names in _FAMILIES.items():
            for name in names.split():
                _OF[name] = module
    return _OF.get(program)
