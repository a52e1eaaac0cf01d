"""Which module knows which program. `scripts`' twin of it is a test: the modules' own tables say the same."""

_FAMILIES = {
    "archives": """tar bsdtar gtar star zip zipcloak zipnote unzip zipinfo 7z 7za 7zr 7zz rar unrar arj lha
    unar cpio gzip gunzip bzip2 bunzip2 xz unxz lzma unlzma zstd unzstd lz4 unlz4 brotli
    compress uncompress pigz lzop zcat gzcat bzcat xzcat zstdcat lzcat lz4cat zstdmt ar
    ranlib dpkg-deb""",
    "awk": "awk gawk mawk nawk original-awk goawk igawk",
    "changers": """cp gcp mv ln install rm grm rmdir trash trash-put srm unlink link mkdir mktemp mkfifo
    mknod touch truncate shred tee sponge chmod chown chgrp dd split csplit patch rename
    prename mmv""",
    "clouds": """aws gcloud gsutil bq az gh glab hub tea doctl heroku fly flyctl vercel netlify wrangler
    firebase ibmcloud oci linode-cli hcloud rclone s3cmd mc vault op bw pass gopass gpg gpg2
    age sops ssh-keygen ssh-add ssh-agent ssh-copy-id keyring secret-tool terraform tofu
    terragrunt pulumi ansible ansible-playbook packer vagrant chef puppet salt""",
    "editors": """vim vi nvim ex view gvim rvim rview vimdiff vimtutor evim eview nvi elvis vis ed red
    emacs emacsclient mg jmacs nano pico micro joe kak helix hx ne gedit kate code codium
    cursor windsurf subl zed atom idea pycharm less more most pg zless zmore man info pinfo
    apropos-x tldr-x help-x xdg-open open start gio-open gnome-open kde-open exo-open
    wslview explorer cygstart see run-mailcap mimeopen sensible-browser x-www-browser
    www-browser firefox chromium google-chrome chrome safari gtk-launch dex xdg-email""",
    "engines": """docker podman nerdctl docker-compose podman-compose buildah finch kubectl oc helm k3s
    k9s kustomize minikube kind k3d argocd istioctl""",
    "find": "find gfind",
    "git": "git",
    "interpreters": """python pypy ipython jython micropython python3 python2 pypy3 perl ruby jruby irb node
    nodejs tsx ts-node ts-node-esm esno babel-node coffee deno bun php lua luajit texlua
    Rscript R java javaw m4 dc swift groovy scala kotlin clojure clj julia elixir iex erl
    escript ghc runghc runhaskell ocaml racket guile sbcl clisp tclsh wish expect osascript
    pwsh powershell jshell gnuplot octave maxima bc-x dc-x qjs d8 rhino mongo mongosh
    redis-cli-x raku nim crystal gst pike janet nu elvish xonsh cmd cscript wscript gdb lldb
    cgdb psql mysql mariadb sqlite3 sqlite duckdb""",
    "packages": """npm cnpm pnpm yarn yarnpkg npx pnpx bunx uvx pipx pip pip3 uv poetry pdm hatch pipenv
    rye twine flit conda mamba micromamba bundle bundler gem composer cargo go rustup dotnet
    nuget brew port apt apt-get aptitude dpkg rpm dnf yum zypper pacman apk emerge
    xbps-install nix-env slackpkg mise rtx asdf direnv devbox nix nix-shell nix-build
    nix-instantiate rbenv pyenv nodenv jenv goenv tfenv nvm fnm volta n lerna nx turbo rush
    pre-commit lefthook husky make gmake bmake mk remake just nox tox doit task rake mage
    invoke inv fab scons waf gulp grunt jake ant cmake ctest cpack ninja samu meson bazel
    bazelisk buck buck2 gradle gradlew mvn mvnw mvnd sbt lein mill""",
    "plain": """echo true false : sleep usleep yes nproc arch uname uptime pwd whoami id groups logname
    users tty who w expr factor which whereis type tput cal ncal free vmstat lscpu lsblk
    lsusb lspci getconf locale kill pkill killall pgrep pidof ps sync clear reset test [
    printf basename dirname numfmt pathchk mesg printenv nl-langinfo ulimit umask wait jobs
    exit return break continue shift times logout fg bg disown suspend dirs lsb_release
    sw_vers getent hostid runlevel last lastlog stty ipcs lsns figlet cowsay banner fortune
    toe units uuidgen pwgen date gdate tr seq hostname""",
    "readers": """md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum b3sum cksum sum shasum md5
    crc32 cat tac rev head tail wc od hexdump hd xxd strings base64 base32 basenc diff
    colordiff cmp diff3 sdiff file stat du df readlink realpath ls dir vdir gls tree zcmp
    zdiff bzdiff xzdiff bat batcat""",
    "remote": """ssh autossh mosh dbclient scp sftp pscp rsync nc ncat netcat socat dig drill kdig delv
    ping ping6 fping arping host nslookup traceroute tracepath mtr whois finger resolvectl
    openssl ftp lftp tftp telnet ncftp smbclient mail mailx sendmail mutt msmtp swaks""",
    "search": "grep egrep fgrep rgrep zgrep bzgrep xzgrep ggrep rg ag ack fd fdfind",
    "sed": "sed gsed ssed",
    "shells": """sh bash zsh dash ksh mksh pdksh yash ash rbash rzsh fish csh tcsh posh oksh lksh hush
    busybox toybox coreutils eval source . exec script scriptlive tmux screen byobu zellij
    dtach abduco parallel rust-parallel sem history""",
    "system": """sudo sudoedit doas dzdo run0 please su runuser pkexec crontab at batch systemctl service
    rc-service initctl launchctl update-rc.d chkconfig loginctl machinectl hostnamectl
    timedatectl localectl nmcli sysrc snap flatpak mount umount losetup swapon swapoff
    fusermount fusermount3 pivot_root switch_root sshfs mount.cifs insmod rmmod modprobe
    kexec depmod sysctl iptables ip6tables nft ufw firewall-cmd ipset tc iptables-restore
    ifconfig route ip arp iw iwconfig ethtool brctl wg useradd userdel usermod groupadd
    groupdel groupmod adduser deluser passwd chpasswd chsh chfn visudo vipw vigr gpasswd
    newgrp sg shutdown reboot halt poweroff init telinit mkfs mkswap fdisk parted sfdisk
    gdisk wipefs fsck tune2fs resize2fs cryptsetup lvm pvcreate vgcreate lvcreate mdadm
    hdparm mkfs.ext4 mkfs.xfs mkfs.vfat diskutil blkdiscard debugfs badblocks chattr setcap
    chcon restorecon setfattr setfacl xattr chflags setenforce apparmor_parser auditctl
    setsebool dmsetup grub-install update-grub update-alternatives ldconfig
    update-ca-certificates hwclock rtcwake dpkg-reconfigure dpkg-divert defaults gsettings
    dconf scutil networksetup spctl csrutil security tccutil xclip xsel pbcopy pbpaste
    wl-copy wl-paste notify-send osd_cat dbus-send gdbus busctl qdbus xdotool ydotool wmctrl
    lsof fuser ss netstat lsmod dmesg journalctl top htop iotop iostat sar mpstat pstree
    pmap blkid findmnt mountpoint namei getcap getfacl getfattr lsattr nm objdump readelf
    size ldd c++filt addr2line""",
    "textual": """expand unexpand column comm cut fmt fold iconv join jq nl paste pr shuf sort tsort uniq""",
    "toolchain": """gcc cc g++ c++ clang clang++ ld gold lld ld.lld ld.gold as cpp gfortran tcc icc emcc
    rustc tcpdump tshark dumpcap nmap masscan start-stop-daemon pandoc tex latex pdftex
    pdflatex xelatex lualatex luatex latexmk ffmpeg convert magick mogrify composite montage
    identify gs ps2pdf""",
    "web": """curl wget wget2 http https httpie xh xhs lynx w3m links elinks aria2c axel yt-dlp
    youtube-dl curlie grpcurl websocat wscat ab wrk hey""",
    "wrappers": """timeout gtimeout nice nohup stdbuf time gtime command builtin noglob env genv xargs
    gxargs watch setsid ionice flock chrt taskset numactl prlimit setarch linux32 linux64
    unshare nsenter chroot strace ltrace perf valgrind catchsegv fakeroot fakechroot proot
    bwrap firejail dbus-run-session xvfb-run systemd-run systemd-inhibit caffeinate unbuffer
    rlwrap chpst softlimit setpriv capsh aa-exec nocorrect exec-line torsocks proxychains
    proxychains4 tsocks retry hyperfine entr dotenv envdir with-contenv tini dumb-init gosu
    su-exec ld.so ld-linux.so.2 ld-linux-x86-64.so.2 ld-linux-aarch64.so.1
    ld-musl-x86_64.so.1""",
}
_OF: dict[str, str] = {}


def module_of(program: str) -> str | None:
    """Return the module that knows a program."""
    if not _OF:
        for module, names in _FAMILIES.items():
            for name in names.split():
                _OF[name] = module
    return _OF.get(program)
