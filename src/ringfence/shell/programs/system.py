"""Programs that change the machine, run things as somebody else, or have them run later."""

from ringfence.shell.facts import KNOWN, Value
from ringfence.shell.options import Table
from ringfence.shell.programs.draft import OPTION, Draft

_SUDO = Table(
    {
        "": """A askpass b background B bell E H set-home k reset-timestamp K remove-timestamp n
        non-interactive N no-update P preserve-groups S stdin V version v validate l list""",
        "data=": """C close-from g group p prompt U other-user u user a auth-type c login-class r role t
        type T command-timeout host h""",
        "data?=": "preserve-env",
        "folder=": "D chdir R chroot",
        "shell": "s shell i login",
        "edit": "e edit",
        "help": "help",
    },
    permute=False,
    risky=True,
)
_SU = Table(
    {
        "": "l login f fast m p preserve-environment P pty T no-pty h help V version",
        "data=": "g group G supp-group s shell w whitelist-environment u user",
        "script=": "c command session-command",
    },
    risky=True,
)
_FIND_SUDO = "privilege"


def _sudo(draft: Draft) -> None:
    parsed = draft.apply(_SUDO)
    words = list(parsed.operands)
    draft.runner = True
    draft.finding("privilege")
    for value in parsed.values("folder"):
        draft.start = value.text if value.certainty == KNOWN else None
    while words:
        name, equals, text = words[0].text.partition("=")
        if not equals or not name.isidentifier():
            break
        draft.assignments.append((name, Value(text=text, certainty=words[0].certainty, span=words[0].span)))
        words = words[1:]
    roles = parsed.roles()
    if "edit" in roles or draft.program == "sudoedit":
        draft.each(words, "out")
        return
    if "shell" in roles and words:
        draft.scripts.append(Value(text=" ".join(word.text for word in words), span=words[0].span))
    draft.run(words)


def _su(draft: Draft) -> None:
    """Read `su` and `runuser`."""
    parsed = draft.apply(_SU)
    draft.finding("privilege")
    draft.runner = True
    for value in parsed.values("script"):
        draft.script(value)
    if draft.program == "runuser" and parsed.has("u", "user"):
        draft.run(parsed.operands)


def _pkexec(draft: Draft) -> None:
    parsed = draft.apply(
        Table(
            {"": "disable-internal-agent keep-cwd version help", "data=": "user"}, permute=False, risky=True
        )
    )
    draft.finding("privilege")
    draft.runner = True
    draft.run(parsed.operands)


def _crontab(draft: Draft) -> None:
    parsed = draft.apply(Table({"": "l e r i s V T n", "data=": "u c x"}, risky=True))
    if parsed.has("l", "V") and not parsed.operands:
        return
    draft.finding("scheduler")
    draft.each(parsed.operands, "read")


def _at(draft: Draft) -> None:
    table = Table({"": "V l m M v b d r k", "data=": "q t", "files=": "f", "data?=": "c"}, risky=True)
    parsed = draft.apply(table)
    for value in parsed.values("files"):
        draft.read(value, OPTION)
    if not parsed.has("l", "V", "c"):
        draft.finding("scheduler")
    if draft.invocation.input is not None:
        draft.script(draft.invocation.input)


_QUIET_SYSTEMCTL = frozenset(
    """status is-active is-enabled is-failed list-units list-unit-files list-timers list-sockets show cat
    list-dependencies get-default list-jobs show-environment help list-machines is-system-running""".split()
)


def _systemctl(draft: Draft) -> None:
    verbs = [word for word in draft.arguments if not word.text.startswith("-")]
    for word in draft.arguments:
        if word.certainty != KNOWN:
            draft.uncertain(word)
        elif word.text.startswith(("-H", "--host", "-M", "--machine")):
            draft.finding("remote-shell", "commands another machine", word)
    if verbs and verbs[0].text not in _QUIET_SYSTEMCTL:
        draft.finding("system-change", "changes what runs on this machine", verbs[0])


def _changes(reason: str) -> "object":
    def look(draft: Draft) -> None:
        draft.complete = False
        draft.finding("system-change", reason)
        for word in draft.arguments:
            if word.certainty != KNOWN:
                draft.uncertain(word)
            elif word.text.startswith("/") or "/" in word.text:
                draft.write(word)

    return look


def _asks(quiet: str, reason: str) -> "object":
    """Return what reads a program that only informs with some of its words, or without any."""
    silent = frozenset(quiet.split())

    def look(draft: Draft) -> None:
        words = draft.arguments
        for word in words:
            if word.certainty != KNOWN:
                draft.uncertain(word)
        if (words and not any(word.text in silent for word in words)) or (not words and "" not in silent):
            draft.finding("system-change", reason)

    return look


def _chattr(draft: Draft) -> None:
    for word in draft.arguments:
        if word.text[:1] not in {"+", "-", "="}:
            draft.write(word)
    draft.finding("system-change", "changes attributes that protect files")


def _defaults(draft: Draft) -> None:
    if draft.arguments and draft.arguments[0].text in {"read", "domains", "find", "read-type"}:
        return
    draft.finding("system-change", "changes settings of the system")


def _clipboard(draft: Draft) -> None:
    """Read programs that share text with the desktop."""
    draft.complete = False
    for word in draft.arguments:
        if word.certainty != KNOWN:
            draft.uncertain(word)
        elif "/" in word.text:
            draft.read(word)


def _lsof(draft: Draft) -> None:
    draft.apply(Table({}, operands="list"))
    draft.complete = True


def _cp_device(draft: Draft) -> None:
    draft.finding("system-change", "makes or changes a file system")
    for word in draft.arguments:
        if word.text.startswith("/"):
            draft.write(word)


PROGRAMS = {
    **dict.fromkeys(("sudo", "sudoedit", "doas", "dzdo", "run0", "please"), _sudo),
    **dict.fromkeys(("su", "runuser"), _su),
    "pkexec": _pkexec,
    "crontab": _crontab,
    **dict.fromkeys(("at", "batch"), _at),
    "systemctl": _systemctl,
    **dict.fromkeys(
        """service rc-service initctl launchctl update-rc.d chkconfig loginctl machinectl hostnamectl
        timedatectl localectl nmcli sysrc snap flatpak""".split(),
        _asks(
            "status list print --status-all info show search find version --version",
            "changes what runs on this machine",
        ),
    ),
    **dict.fromkeys(("mount",), _asks("", "mounts a file system")),
    **dict.fromkeys(
        """umount losetup swapon swapoff fusermount fusermount3 pivot_root switch_root sshfs
        mount.cifs""".split(),
        _changes("mounts or unmounts file systems"),
    ),
    **dict.fromkeys(("insmod", "rmmod", "modprobe", "kexec", "depmod"), _changes("changes the kernel")),
    "sysctl": _asks("-a -A -n --all -N --names --pattern", "changes the kernel's settings"),
    **dict.fromkeys(
        ("iptables", "ip6tables", "nft", "ufw", "firewall-cmd", "ipset", "tc", "iptables-restore"),
        _asks("-L --list -S list status", "changes the firewall"),
    ),
    **dict.fromkeys(
        ("ifconfig", "route", "ip", "arp", "iw", "iwconfig", "ethtool", "brctl", "wg"),
        _asks("a addr address r route link show ls list l neigh -V -a -s -n rule get", "changes the network"),
    ),
    **dict.fromkeys(
        """useradd userdel usermod groupadd groupdel groupmod adduser deluser passwd chpasswd chsh chfn
        visudo vipw vigr gpasswd newgrp sg""".split(),
        _changes("changes accounts"),
    ),
    **dict.fromkeys(
        ("shutdown", "reboot", "halt", "poweroff", "init", "telinit"), _changes("stops the machine")
    ),
    **dict.fromkeys(
        """mkfs mkswap fdisk parted sfdisk gdisk wipefs fsck tune2fs resize2fs cryptsetup lvm pvcreate
        vgcreate lvcreate mdadm hdparm mkfs.ext4 mkfs.xfs mkfs.vfat diskutil blkdiscard debugfs
        badblocks""".split(),
        _cp_device,
    ),
    **dict.fromkeys(
        ("chattr", "setcap", "chcon", "restorecon", "setfattr", "setfacl", "xattr", "chflags"), _chattr
    ),
    **dict.fromkeys(
        """setenforce apparmor_parser auditctl setsebool dmsetup grub-install update-grub
        update-alternatives ldconfig update-ca-certificates hwclock rtcwake dpkg-reconfigure
        dpkg-divert""".split(),
        _changes("changes the system's own settings"),
    ),
    **dict.fromkeys(
        """defaults gsettings dconf scutil networksetup spctl csrutil security tccutil""".split(),
        _defaults,
    ),
    **dict.fromkeys(
        """xclip xsel pbcopy pbpaste wl-copy wl-paste notify-send osd_cat dbus-send gdbus busctl qdbus
        xdotool ydotool wmctrl""".split(),
        _clipboard,
    ),
    **dict.fromkeys(
        """lsof fuser ss netstat lsmod dmesg journalctl top htop iotop iostat sar mpstat pstree pmap blkid
        findmnt mountpoint namei getcap getfacl getfattr lsattr nm objdump readelf size ldd c++filt
        addr2line""".split(),
        _lsof,
    ),
}
