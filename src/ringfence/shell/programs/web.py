"""Programs that fetch from and send to the web."""

from ringfence.shell.facts import KNOWN, WRITE, Value
from ringfence.shell.options import Parsed, Table, known, part, prefix
from ringfence.shell.programs.draft import NOWHERE, OPTION, Draft

_CURL = Table(
    {
        "": """anyauth a append basic cert-status compressed compressed-ssh create-dirs crlf digest q disable
        disable-eprt disable-epsv doh-cert-status doh-insecure f fail fail-early fail-with-body false-start
        form-escape ftp-create-dirs ftp-pasv ftp-pret ftp-skip-pasv-ip ftp-ssl-ccc ftp-ssl-control G get g
        globoff haproxy-protocol I head http0.9 0 http1.0 http1.1 http2 http2-prior-knowledge http3 http3-only
        ignore-content-length i include show-headers k insecure 4 ipv4 6 ipv6 junk-session-cookies j l
        list-only L location location-trusted M manual negotiate n netrc netrc-optional next : no-alpn N
        no-buffer no-clobber no-keepalive no-npn no-progress-meter no-sessionid ntlm ntlm-wb Z parallel
        parallel-immediate path-as-is post301 post302 post303 progress-bar # proxy-anyauth proxy-basic
        proxy-ca-native ca-native proxy-digest proxy-insecure proxy-negotiate proxy-ntlm proxy-tlsv1 p
        proxytunnel raw R remote-time remove-on-error retry-all-errors retry-connrefused sasl-ir S
        show-error s
        silent socks5-basic socks5-gssapi socks5-gssapi-nec ssl ssl-allow-beast ssl-auto-client-cert
        ssl-no-revoke ssl-reqd ssl-revoke-best-effort ssl-sessions-x 2 sslv2 3 sslv3 styled-output
        suppress-connect-headers tcp-fastopen tcp-nodelay tftp-no-options 1 tlsv1 tlsv1.0 tlsv1.1 tlsv1.2
        tlsv1.3 tr-encoding trace-ids trace-time B use-ascii v verbose V version xattr
        disallow-username-in-url mail-rcpt-allowfails no-silent no-fail no-location skip-existing
        tls-earlydata mptcp""",
        "data=": """aws-sigv4 cert-type ciphers connect-timeout connect-to C continue-at create-file-mode
        curves delegation dns-interface dns-ipv4-addr dns-ipv6-addr dns-servers engine-x
        expect100-timeout form-string ftp-account ftp-alternative-to-user ftp-method P ftp-port
        ftp-ssl-ccc-mode happy-eyeballs-timeout-ms help-x hostpubmd5 hostpubsha256 interface ip-tos
        keepalive-time keepalive-cnt key-type krb limit-rate local-port login-options mail-auth mail-from
        mail-rcpt max-filesize max-redirs m max-time noproxy oauth2-bearer parallel-max pass pinnedpubkey
        proto proto-default proto-redir proxy-cert-type proxy-ciphers proxy-key-type proxy-pass
        proxy-pinnedpubkey proxy-service-name proxy-tls13-ciphers proxy-tlsauthtype proxy-tlspassword
        proxy-tlsuser U proxy-user r range rate e referer X request request-target resolve retry retry-delay
        retry-max-time sasl-authzid service-name socks5-gssapi-service Y speed-limit y speed-time t
        telnet-option tftp-blksize z time-cond tls-max tls13-ciphers tlsauthtype tlspassword tlsuser u user A
        user-agent variable-x vlan-priority haproxy-clientip data-raw parallel-max-host sigalgs
        signature-algorithms ech""",
        "data?=": "h help",
        "body=": """d data data-ascii data-binary data-urlencode json url-query F form H header
        proxy-header w write-out b cookie variable expand-data""",
        "upload=": "T upload-file",
        "read=": """cacert capath cert E crlfile egd-file etag-compare key netrc-file proxy-cacert
        proxy-capath proxy-cert proxy-crlfile proxy-key pubkey random-file knownhosts""",
        "url=": "url doh-url preproxy x proxy proxy1.0 socks4 socks4a socks5 socks5-hostname",
        "socket=": "abstract-unix-socket unix-socket",
        "output=": "o output",
        "out=": "output-dir",
        "named": "O remote-name remote-name-all J remote-header-name",
        "write=": """c cookie-jar D dump-header stderr trace trace-ascii libcurl etag-save hsts alt-svc
        trace-config-x ssl-sessions""",
        "config=": "K config",
        "quote=": "Q quote",
        "run=": "engine",
    },
    risky=True,
    closed=True,
)
_WGET = Table(
    {
        "": """V version h help b background d debug q quiet v verbose nv no-verbose F force-html no-config c
        continue nc no-clobber show-progress N timestamping no-if-modified-since no-use-server-timestamps S
        server-response spider random-wait no-proxy no-dns-cache ignore-case 4 inet4-only 6 inet6-only
        ask-password no-iri unlink xattr x force-directories nd nH no-directories no-host-directories
        protocol-directories no-cache E adjust-extension ignore-length save-headers no-http-keep-alive
        no-cookies keep-session-cookies content-disposition content-on-error auth-no-challenge https-only
        no-check-certificate check-certificate no-hsts no-remove-listing no-glob no-passive-ftp
        preserve-permissions retr-symlinks ftps-implicit ftps-resume-ssl ftps-clear-data-connection
        ftps-fallback-to-ftp r recursive delete-after k convert-links convert-file-only K backup-converted m
        mirror p page-requisites strict-comments follow-ftp H span-hosts L relative I-x np no-parent
        trust-server-names no-netrc retry-connrefused no-warc-compression warc-cdx""",
        "data=": """t tries T timeout dns-timeout connect-timeout read-timeout w wait waitretry Q quota
        bind-address limit-rate restrict-file-names prefer-family user password local-encoding
        remote-encoding cut-dirs http-user http-password default-page header compression max-redirect
        proxy-user proxy-password referer U user-agent post-data method body-data secure-protocol
        certificate-type private-key-type pinnedpubkey ciphers ftp-user ftp-password l level A accept R
        reject accept-regex reject-regex regex-type D domains exclude-domains follow-tags ignore-tags I
        include-directories X exclude-directories progress report-speed start-pos retry-on-http-error
        warc-header warc-max-size n B base""",
        "read=": """i input-file load-cookies post-file body-file certificate private-key ca-certificate
        ca-directory crl-file warc-dedup""",
        "write=": "o output-file a append-output save-cookies rejected-log hsts-file warc-file",
        "output=": "O output-document",
        "out=": "P directory-prefix warc-tempdir",
        "run=": "use-askpass",
        "risk:unseen-instructions=": "config",
        "risk:option-runs-program=": "e execute",
        "data?=": "backups",
    },
    risky=True,
)
_HTTPIE = Table(
    {
        "": """j json f form multipart x compress v verbose h headers b body m meta d download c continue S
        stream F follow I ignore-stdin offline check-status all debug help version raw-x""",
        "data=": """p print style s pretty P session-x a auth A auth-type proxy-x max-redirects timeout
        verify ssl cert-type boundary format-options raw response-charset history-print""",
        "read=": "cert cert-key",
        "url=": "proxy",
        "out=": "o output",
        "write=": "session session-read-only",
    },
    risky=True,
)


def _curl(draft: Draft) -> None:
    parsed = draft.apply(_CURL)
    for value in parsed.operands:
        _address(draft, value)
    for one in parsed.given:
        if one.value is not None and one.role in {"body", "upload", "output", "socket", "config", "quote"}:
            _curl_option(draft, one.role, one.name, one.value)
    if "named" in parsed.roles():
        for value in parsed.operands:
            _named(draft, value, parsed)


def _curl_option(draft: Draft, role: str, name: str, value: Value) -> None:
    if role == "body":
        _body(draft, name, value)
    elif role == "upload":
        draft.read(value, OPTION)
    elif role == "output":
        _output(draft, value)
    elif role == "socket":
        draft.touch(WRITE, value, OPTION)
        draft.finding("option-runs-program", "talks to a socket of this machine", value)
    elif role == "config":
        draft.read(value, OPTION)
        if value.text != "/dev/null":
            draft.finding("unseen-instructions", "", value)
    else:
        draft.finding("remote-shell", "sends commands to the server", value)


def _body(draft: Draft, name: str, value: Value) -> None:
    """Note the files that a body, header or format is taken from: `@file`, `name=@file`."""
    if value.certainty != KNOWN and (
        prefix(value)[:1] in {"", "@"} or name in {"F", "form", "data-urlencode"}
    ):
        draft.uncertain(value)
    text = value.text
    if name in {"F", "form", "data-urlencode", "url-query", "variable"}:
        at = min(
            (place for place in (text.find("=@"), text.find("=<"), text.find("@")) if place >= 0), default=-1
        )
        if at < 0:
            return
        start = at + (2 if text[at] == "=" else 1)
        for piece in text[start:].partition(";")[0].split(","):
            draft.read(known(piece.strip('"'), value), OPTION)
    elif text.startswith("@"):
        draft.read(part(value, 1), OPTION)
    elif name in {"w", "write-out"} and "%output{" in text:
        draft.finding("option-writes", "", value)
    elif name in {"b", "cookie"} and "=" not in text:
        draft.read(value, OPTION)


def _output(draft: Draft, value: Value) -> None:
    if value.text in NOWHERE:
        return
    draft.finding("option-writes", "writes what it fetches into a file", value)
    draft.write(value, OPTION)


def _named(draft: Draft, value: Value, parsed: Parsed) -> None:
    """Note the file that a URL names."""
    name = value.text.partition("?")[0].rstrip("/").rpartition("/")[2]
    draft.finding(
        "option-writes", "writes what it fetches into a file that the URL or the server names", value
    )
    if name:
        folder = next((one.text for one in parsed.values("out")), "")
        draft.write(known(f"{folder}/{name}" if folder else name, value), OPTION)


def _address(draft: Draft, value: Value) -> None:
    text = value.text
    if text[:5].lower() == "file:" and value.certainty == KNOWN:
        path = text[5:].removeprefix("//")
        draft.read(known(path if path.startswith("/") else "/" + path.partition("/")[2], value))
        return
    draft.endpoint(value)


def _wget(draft: Draft) -> None:
    parsed = draft.apply(_WGET)
    for value in parsed.operands:
        draft.endpoint(value)
    outputs = parsed.values("output")
    for value in outputs:
        _output(draft, value)
    if not outputs and not parsed.has("spider", "delete-after"):
        for value in parsed.operands:
            name = value.text.partition("://")[2].partition("?")[0].rpartition("/")[2]
            draft.write(known(name or "index.html", value))


def _httpie(draft: Draft) -> None:
    parsed = draft.apply(_HTTPIE)
    operands = parsed.operands
    if operands[:1] and operands[0].text.isupper() and operands[0].text.isalpha():
        operands = operands[1:]
    for value in operands[:1]:
        draft.endpoint(value)
    for value in operands[1:]:
        if value.certainty != KNOWN:
            draft.uncertain(value)
        for sign in ("=@", ":=@", "@", "==@", ":@"):
            _, found, path = value.text.partition(sign)
            if found and path:
                draft.read(known(path, value))
                break
    if parsed.has("d", "download"):
        draft.finding("option-writes", "writes what it fetches into a file")


def _browser(draft: Draft) -> None:
    """Read text browsers and downloaders without a table."""
    draft.complete = False
    for value in draft.arguments:
        if value.certainty != KNOWN:
            draft.uncertain(value)
        elif "://" in value.text or (
            "." in value.text and "/" not in value.text and not value.text.startswith("-")
        ):
            draft.endpoint(value)
        elif not value.text.startswith("-"):
            draft.read(value)
        elif value.text.startswith(
            ("-cmd", "--on-", "-e", "-eval", "--exec", "-config", "-o", "-out", "--out", "--dir")
        ):
            draft.finding("option-runs-program", "is given an option that may run or write something", value)


PROGRAMS = {
    "curl": _curl,
    **dict.fromkeys(("wget", "wget2"), _wget),
    **dict.fromkeys(("http", "https", "httpie", "xh", "xhs"), _httpie),
    **dict.fromkeys(
        """lynx w3m links elinks aria2c axel yt-dlp youtube-dl curlie grpcurl websocat wscat ab wrk
        hey""".split(),
        _browser,
    ),
}
