"""Programs that reach other machines: shells, copies, raw connections, lookups of names."""

from ringfence.shell.facts import KNOWN, READ, WRITE, Value
from ringfence.shell.options import Parsed, Table, part
from ringfence.shell.programs.draft import OPTION, Draft

_SSH = {
    "": "4 6 A a C f G g K k M N n q s T t V v X x Y y",
    "data=": "B b c D e I i-x L l m O p R W w Q P",
    "read=": "i",
    "write=": "E S",
    "setting=": "o",
    "config=": "F",
    "host=": "J",
}
_SCP = {
    "": "3 4 6 A B C O p q R r T v s",
    "data=": "c l P X D",
    "read=": "i",
    "setting=": "o",
    "config=": "F",
    "host=": "J",
    "run=": "S",
    "batch=": "b",
}
_SAFE = frozenset(
    """batchmode connecttimeout stricthostkeychecking serveraliveinterval serveralivecountmax loglevel
    port user
    compression connectionattempts tcpkeepalive ipqos addressfamily ciphers macs kexalgorithms
    hostkeyalgorithms pubkeyacceptedalgorithms preferredauthentications passwordauthentication
    pubkeyauthentication identitiesonly requesttty numberofpasswordprompts gssapiauthentication visualhostkey
    checkhostip updatehostkeys hostkeyalias escapechar exitonforwardfailure forwardagent forwardx11
    clearallforwardings""".split()
)
_RSYNC = Table(
    {
        "": """v verbose q quiet no-motd c checksum a archive r recursive R relative no-implied-dirs b
        backup u
        update inplace append append-verify d dirs old-dirs mkpath l links L copy-links copy-unsafe-links
        safe-links munge-links k copy-dirlinks K keep-dirlinks H hard-links p perms E executability A acls X
        xattrs o owner g group devices specials D t times U atimes N crtimes O omit-dir-times J
        omit-link-times super fake-super S sparse preallocate n dry-run W whole-file x one-file-system
        existing ignore-existing remove-source-files del delete delete-before delete-during delete-delay
        delete-after delete-excluded ignore-missing-args delete-missing-args ignore-errors force partial
        delay-updates m prune-empty-dirs numeric-ids I ignore-times size-only y fuzzy z compress C
        cvs-exclude from0 0 s secluded-args protect-args old-args trust-sender copy-as-x blocking-io stats 8
        8-bit-output h human-readable progress P i itemize-changes list-only fsync ipv4 4 ipv6 6 version help
        no-recursive no-perms no-owner no-group no-times no-links no-r no-p no-o no-g no-t no-l no-D
        no-whole-file no-inc-recursive no-compress open-noatime copy-devices write-devices F""",
        "data=": """debug info stderr backup-dir suffix chmod max-alloc timeout contimeout modify-window @
        block-size B max-delete max-size min-size usermap groupmap chown skip-compress exclude include filter
        f out-format log-file-format bwlimit stop-after stop-at protocol iconv checksum-seed compress-choice
        zc compress-level zl checksum-choice cc outbuf address port sockopts remote-option M compress-threads
        partial-dir compare-dest copy-dest link-dest T temp-dir""",
        "read=": "exclude-from include-from files-from password-file early-input read-batch",
        "write=": "log-file write-batch only-write-batch",
        "run=": "e rsh rsync-path",
        "risk:unseen-instructions=": "config",
        "risk:interpreter-code": "daemon server",
    },
)
_NC = Table(
    {
        "": """4 6 b C D d F h k l listen N n r S t u U v Z z keep-open ssl verbose udp sctp telnet send-only
        recv-only nodns crlf zero broker chat no-shutdown wait-x R""",
        "data=": """I i idle-timeout m M O P p source-port q s source T V w wait W X x proxy proxy-type
        proxy-auth ssl-cert ssl-key ssl-ciphers ssl-alpn max-conns delay g G o-x J e-x""",
        "run=": "e exec c sh-exec lua-exec",
        "write=": "o output x hex-dump",
        "read=": "allowfile denyfile ssl-trustfile",
    },
    risky=True,
)
_DIG = Table(
    {
        "": "4 6 i m r u v h",
        "data=": "b c p q-x t x k-x y",
        "host=": "q x",
        "read=": "f k",
    },
    risky=False,
)
_PING = Table(
    {
        "": "4 6 a A b B C d D f H h L n O q r R U v V 3",
        "data=": "c e F i I l m M N p P Q s S t T w W o g G k K z",
    },
    operands="host",
    numbers=True,
    risky=False,
)
_HOSTS = Table({"data=": "p t T c W w m q f s i z g port type timeout"}, operands="host", risky=False)
_OPENSSL_FILES = {
    "read": frozenset(
        """in inkey key cert certs CAfile CApath CAkey CA certfile keyfile signature verify prverify config
        inform-x kfile rand untrusted trusted crl content peerkey data chain cert_chain cafile dcert dkey
        signkey signer recip passin-x extfile oid queryfile""".split()
    ),
    "write": frozenset(
        "out keyout writerand sigout outdir signout sigfile sess_out keylogfile msgfile certout".split()
    ),
}


def _options(draft: Draft, parsed: Parsed) -> None:
    """Note the settings of the OpenSSH family that run programs: `-o ProxyCommand=…`, `-F file`."""
    for value in parsed.values("setting"):
        name = value.text.replace("=", " ").split(" ")[0].lower()
        if value.certainty != KNOWN:
            draft.uncertain(value)
        if name not in _SAFE:
            draft.finding(
                "option-runs-program", f"is given the setting {name!r}, which may run programs", value
            )
            draft.scripts.append(part(value, min(len(name) + 1, len(value.text))))
    for value in parsed.values("config"):
        if value.text not in {"/dev/null", "none"}:
            draft.read(value, OPTION)
            draft.finding("unseen-instructions", "", value)


def _ssh(draft: Draft) -> None:
    """Read `ssh`: everything behind the host is a command there."""
    parsed = draft.apply(Table({**_SSH}, permute=False, risky=True))
    _options(draft, parsed)
    host = parsed.operands[:1]
    for value in host:
        _host(draft, value)
    rest = parsed.operands[1:]
    while rest and rest[0].certainty == KNOWN and rest[0].text.startswith("-"):
        again = draft.apply(Table({**_SSH}, permute=False, risky=True), rest)  # `ssh host -o x command`
        _options(draft, again)
        rest = again.operands if len(again.operands) < len(rest) else []
    if rest:
        draft.finding("remote-shell", "", rest[0])
        draft.runner = True
        if all(word.certainty == KNOWN for word in rest):
            draft.scripts.append(Value(text=" ".join(word.text for word in rest), span=rest[0].span))


def _host(draft: Draft, value: Value) -> None:
    if value.text.startswith("-"):
        draft.finding("option-runs-program", "takes a host for an option", value)
    draft.endpoint(value)


def _place(draft: Draft, value: Value, kind: str, *, tree: bool) -> None:
    """Note `host:path`, a URL, or a path on this machine."""
    text = value.text
    if value.certainty == KNOWN and ("://" in text or ":" in text.partition("/")[0]):
        draft.endpoint(value)
    else:
        draft.touch(kind, value, tree=tree)


def _copy(draft: Draft, parsed: Parsed, *, tree: bool) -> None:
    for value in parsed.operands[:-1]:
        _place(draft, value, READ, tree=tree)
    for value in parsed.operands[-1:]:
        _place(draft, value, WRITE, tree=tree)
        if len(parsed.operands) == 1:
            _place(draft, value, READ, tree=tree)


def _scp(draft: Draft) -> None:
    parsed = draft.apply(Table({**_SCP}, risky=True))
    _options(draft, parsed)
    for value in parsed.values("batch"):
        draft.read(value, OPTION)
        draft.finding("unseen-instructions", "", value)
    if draft.program == "sftp":
        for value in parsed.operands[:1]:
            _host(draft, value)
        draft.each(parsed.operands[1:], "out")
        return
    _copy(draft, parsed, tree=parsed.has("r"))


def _rsync(draft: Draft) -> None:
    parsed = draft.apply(_RSYNC)
    tree = parsed.has("a", "archive", "r", "recursive")
    _copy(draft, parsed, tree=tree)
    if any(one.name.startswith("del") for one in parsed.given):
        for value in parsed.operands[-1:]:
            draft.touch("delete", value, tree=True)


def _nc(draft: Draft) -> None:
    parsed = draft.apply(_NC)
    for value in parsed.operands[:1]:
        draft.endpoint(value)
    for value in parsed.operands[1:]:
        if value.certainty != KNOWN:
            draft.uncertain(value)


def _socat(draft: Draft) -> None:
    """Read `socat`: addresses such as `EXEC:` run programs, `FILE:` opens files."""
    draft.complete = False
    for word in draft.arguments:
        if word.certainty != KNOWN:
            draft.uncertain(word)
        kind, colon, rest = word.text.partition(":")
        upper = kind.upper().lstrip("!")
        if any(sign in word.text.upper() for sign in ("EXEC:", "SYSTEM:", "SHELL:")):
            draft.finding("option-runs-program", "", word)
            draft.scripts.append(part(word, len(kind) + 1))
        elif not colon:
            continue
        elif upper in {
            "FILE",
            "OPEN",
            "GOPEN",
            "CREATE",
            "CREAT",
            "PIPE",
            "UNIX-CONNECT",
            "UNIX-LISTEN",
            "UNIX",
        }:
            path = Value(text=rest.partition(",")[0], certainty=word.certainty, span=word.span)
            draft.read(path)
            draft.write(path)
        else:
            draft.endpoint(part(word, len(kind) + 1))


def _dig(draft: Draft) -> None:
    parsed = draft.apply(_DIG)
    for value in parsed.operands:
        if not value.text.startswith("+"):
            draft.endpoint(
                Value(text=value.text.removeprefix("@"), certainty=value.certainty, span=value.span)
            )


def _openssl(draft: Draft) -> None:
    """Read `openssl`: every command has options with one dash; those with files count."""
    words = draft.arguments
    for at, word in enumerate(words):
        if word.certainty != KNOWN:
            draft.uncertain(word)
        name = word.text.lstrip("-") if word.text.startswith("-") else ""
        name, equals, _ = name.partition("=")
        value = words[at + 1] if at + 1 < len(words) else None
        if equals:
            value = part(word, word.text.index("=") + 1)
        if not name or value is None:
            continue
        if name in _OPENSSL_FILES["read"]:
            draft.read(value, OPTION)
        elif name in _OPENSSL_FILES["write"]:
            draft.write(value, OPTION)
        elif name in {"connect", "proxy", "host", "url", "server"}:
            draft.endpoint(value)
        elif name in {"engine", "provider", "provider-path", "provider_path"}:
            draft.finding("option-runs-program", "loads code", value)
        elif name in {"pass", "passin", "passout", "k"} and value.text.startswith("file:"):
            draft.read(part(value, 5), OPTION)
    verb = words[0].text if words else ""
    if verb in {
        "dgst",
        "sha256",
        "md5",
        "sha1",
        "sha512",
        "rehash",
        "c_rehash",
        "storeutl",
        "verify",
        "asn1parse",
        "errstr",
    }:
        for word in words[1:]:
            if not word.text.startswith("-"):
                draft.read(word)
    if verb in {"s_server", "ocsp"} and any(
        word.text in {"-WWW", "-HTTP", "-www", "-port"} for word in words
    ):
        draft.finding("interpreter-code", "serves files to the network")


def _ftp(draft: Draft) -> None:
    """Read interactive clients, whose commands include a shell escape."""
    draft.complete = False
    parsed = draft.apply(Table({"data=": "P p u o N s l", "code=": "e c f"}, risky=True))
    for value in parsed.operands[:1]:
        draft.endpoint(value)
    for value in parsed.values("code"):
        draft.finding("interpreter-code", "runs commands, which can start programs", value)
    if draft.invocation.input is not None:
        draft.finding(
            "interpreter-code", "runs commands that it reads from its input", draft.invocation.input
        )


def _mail(draft: Draft) -> None:
    draft.complete = False
    draft.finding("remote-shell", "sends something to somebody")
    for value in draft.arguments:
        if value.certainty != KNOWN:
            draft.uncertain(value)
        elif "@" in value.text:
            draft.endpoint(value)
        elif not value.text.startswith("-"):
            draft.read(value)


PROGRAMS = {
    **dict.fromkeys(("ssh", "autossh", "mosh", "dbclient"), _ssh),
    **dict.fromkeys(("scp", "sftp", "pscp"), _scp),
    "rsync": _rsync,
    **dict.fromkeys(("nc", "ncat", "netcat"), _nc),
    "socat": _socat,
    **dict.fromkeys(("dig", "drill", "kdig", "delv"), _dig),
    **dict.fromkeys(("ping", "ping6", "fping", "arping"), _PING),
    **dict.fromkeys(
        ("host", "nslookup", "traceroute", "tracepath", "mtr", "whois", "finger", "resolvectl"), _HOSTS
    ),
    "openssl": _openssl,
    **dict.fromkeys(("ftp", "lftp", "tftp", "telnet", "ncftp", "smbclient"), _ftp),
    **dict.fromkeys(("mail", "mailx", "sendmail", "mutt", "msmtp", "swaks"), _mail),
}
