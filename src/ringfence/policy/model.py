"""What the operator wrote, as values: the one model behind TOML, JSON and the JSON Schema.

Each field's comment is its help text: `policy.schema` reads it into the JSON Schema and the
reference page.
"""

from ringfence.value import Struct

ALLOW, ASK, DENY = "allow", "ask", "deny"
ANY = "*"  # as the host of a rule that asks: every host that no other rule knows
WORKSPACE_MODES = ("direct", "overlay", "readonly", "scratch")
DEFAULT_MODE = "overlay"
TIERS = ("sandbox", "container", "gvisor", "microvm")  # the strongest last
MASKED = ("off", "record", "refuse")  # the strictest last
CONTENT = ("off", "watch", "mask")
ALARMS = ("refuse", "end")
UNMATCHED = (ASK, DENY)  # what a tool call is that no rule names; the strictest last
SETTINGS = ("", "claude")
CLIENT, APPROVE = "client", "approve"
ENGINES = ("", "docker", "podman")


class EgressRule(Struct):
    """One rule about requests that leave the boundary."""

    host: str  # exact name, `*.suffix` (strict subdomains), IP literal or CIDR; `*` where it is asked about
    ports: tuple[int, ...] = ()  # empty: the usual port of each scheme
    schemes: tuple[str, ...] = ("https",)  # "https", "http"; "tcp" alone: any bytes, to the ports named
    methods: tuple[str, ...] = ()  # empty: any method
    paths: tuple[str, ...] = ()  # globs on the canonical path: `*` within a segment, `**` across; empty: any
    private: bool = False  # the host's addresses may be private: it is on the operator's network
    reason: str = ""  # told to the agent when this rule denies
    origin: str = ""  # where the rule comes from: "preset python", "user policy", "project policy"
    query: tuple[str, ...] = ()  # keys: the only ones an allow rule takes (`!*`: none); a deny rule needs one
    headers: tuple[str, ...] = ()  # "name" (is there), "name: glob", "!name" (is not); a deny rule needs one
    content_types: tuple[str, ...] = ()  # of the request's body: "application/json", "image/*"
    max_body: int | None = None  # largest request body; a deny rule denies what is larger
    graphql: tuple[str, ...] = ()  # operations by kind and top-level field: "query", "mutation addComment"
    git: tuple[str, ...] = ()  # "fetch *", "push acme/app refs/heads/agent/*", "delete acme/app refs/heads/x"


class Egress(Struct):
    """What may leave, and what happens to it."""

    allow: tuple[EgressRule, ...] = ()
    ask: tuple[EgressRule, ...] = ()  # requests that wait until somebody answers them (`ringfence approve`)
    deny: tuple[EgressRule, ...] = ()
    splice: tuple[str, ...] = ()  # hosts whose TLS is passed through unseen
    start: str = "first-connection"  # or "early": when the gate's process starts
    proxy_variables: bool = True  # also set HTTP(S)_PROXY inside
    extra_ca: tuple[str, ...] = ()  # PEM files trusted for upstream certificates beside the system's
    ask_timeout: float = 120.0  # seconds until a request that waits for an answer is refused
    static: tuple[
        tuple[str, str], ...
    ] = ()  # host name, or host:port -> "address" or "address:port" to dial for it; you vouch for it
    proxy: str = ""  # upstream proxy for everything the gate dials: "http://[user@]host:port" or "socks5://…"
    proxy_password: str = ""  # source of that proxy's password, written as a credential's
    no_proxy: tuple[str, ...] = ()  # hosts, `*.suffix` or networks that are dialled directly all the same
    resolvers: tuple[
        tuple[str, str], ...
    ] = ()  # domain -> "address:port" of the nameserver that is asked for its names, and nobody else


class Credential(Struct):
    """A secret that the gate puts into requests to one host; the boundary sees a placeholder."""

    name: str
    source: str  # "env:NAME", "file:PATH", "command:PROGRAM ARGUMENT…", or one of docs/credentials.md
    host: str  # the exact host it is sent to; the kind `aws` also takes "*.suffix"
    port: int = 443  # and the exact port
    header: str = "authorization"  # the header that carries it
    prefix: str = ""  # put before the value, such as "Bearer "
    strip: tuple[str, ...] = ()  # headers removed from what the agent sends, beside `header`
    placeholder: str = ""  # what the environment variables hold inside
    environment: tuple[str, ...] = ()  # variables inside that hold the placeholder
    optional: bool = False  # no error when the source has nothing
    origin: str = ""
    kind: str = "header"  # how it gets into a request; docs/credentials.md has the table
    schemes: tuple[str, ...] = ("https",)  # `http` sends it unencrypted: only for a host that has no TLS
    user: str = ""  # basic, git: the user's name; without one the secret is "user:password"
    field: str = ""  # query, cookie: the name of the query key or the cookie
    places: tuple[str, ...] = ()  # placeholder: header:NAME, query:KEY, form:FIELD, json:/POINTER
    regions: tuple[str, ...] = ()  # aws: regions that may be signed for; empty: any
    services: tuple[str, ...] = ()  # aws: services that may be signed for; empty: any that hands out no keys
    token_url: str = ""  # oauth: the token endpoint; google, github-app: another one than the usual
    grant: str = "client_credentials"  # oauth: or "refresh_token"
    client_id: str = ""  # oauth: the client, where the source does not name it
    client_auth: str = "basic"  # oauth: how the client's secret is sent to the endpoint: basic, body or none
    scopes: tuple[str, ...] = ()  # oauth, google: scopes asked for
    audience: str = ""  # oauth: the audience asked for; google: of an identity token instead of scopes
    app: str = ""  # github-app: the app's id or client id
    installation: str = ""  # github-app: the installation's id
    repositories: tuple[str, ...] = ()  # github-app: names of the only repositories the token is good for
    permissions: tuple[tuple[str, str], ...] = ()  # github-app: the only permissions the token has
    source_url: str = ""  # vault, aws-sm: the server, instead of the one in the operator's environment
    source_ca: str = ""  # vault, aws-sm: a PEM file of the authority behind that server's certificate


class Gateway(Struct):
    """A plain-HTTP name inside the boundary that stands for one upstream, for base-URL variables."""

    name: str  # reachable inside as http://NAME.gateway.internal
    upstream: str  # "https://host[:port][/prefix]"
    environment: tuple[str, ...] = ()  # variables inside set to the gateway's URL
    origin: str = ""


class Workspace(Struct):
    """The project, and how the agent holds it."""

    mode: str = DEFAULT_MODE  # direct | overlay | readonly | scratch
    mask: tuple[str, ...] = ()  # globs of files hidden from the agent, beside the built-in credential files
    unmask: tuple[str, ...] = ()  # globs of built-in masks given up
    protect: tuple[str, ...] = ()  # globs the agent cannot write, beside the built-in ones
    keep: tuple[
        str, ...
    ] = ()  # overlay: folders kept for this workspace between sessions, never reviewed or applied
    exclude: tuple[str, ...] = ()  # overlay: globs of files that are no part of a session's changes
    quota: int | None = None  # overlay: bytes that a session's copy may take; above, the session ends
    snapshot: bool = False  # overlay: where the kernel cannot mount one, copy a project of any size
    output: str = ""  # a folder on the host, outside the workspace, that the agent writes as /output
    noexec: bool = False  # no file of the workspace can be executed
    content: str = "mask"  # files that hold keys by their content: mask (hidden) | watch (keys kept in) | off


class Files(Struct):
    """Paths outside the workspace."""

    read: tuple[str, ...] = ()  # files and folders the agent may also read
    write: tuple[str, ...] = ()  # and may also change
    state: tuple[
        str, ...
    ] = ()  # folders under ~ kept for this workspace between sessions, apart from the real ones


class Environment(Struct):
    """Variables inside the boundary. Nothing is inherited that is not named."""

    set: tuple[tuple[str, str], ...] = ()  # name -> value; `~/` at the front is the home folder inside
    keep: tuple[str, ...] = ()  # names or `PREFIX*` taken over from the operator's environment


class Limits(Struct):
    """Resource limits for the whole session. None: no limit beyond the kernel's."""

    memory: int | None = None  # bytes
    cpus: float | None = None  # how many CPUs' worth of time
    processes: int | None = 4096  # processes and threads
    file_size: int | None = None  # bytes, largest file written
    open_files: int | None = None  # descriptors per process
    wall_time: float | None = None  # seconds until the session is ended
    scratch: int | None = None  # bytes in /tmp, /dev/shm and the private home each


class Budget(Struct):
    """How much may leave in one session, to some hosts or to all together."""

    name: str
    host: str = ""  # exact name or `*.suffix`; empty: all hosts together
    requests: int | None = None  # requests, and connections that nobody looks into
    up: int | None = None  # bytes of requests (target, fields, body) and tunnels toward the upstream
    down: int | None = None  # bytes of answers and tunnels toward the agent
    origin: str = ""


class ModelBudget(Struct):
    """What the model may cost, read from the usage in its answers. Hard stops; a warning comes before."""

    session_tokens: int | None = None  # tokens in and out, of this session
    session_cost: float | None = None  # US dollars by the price table, of this session
    day_tokens: int | None = None  # the same of all sessions of this user since midnight UTC
    day_cost: float | None = None  # US dollars of all sessions of this user since midnight UTC
    warn: float = 0.8  # part of a limit at which the record and the operator are warned


class Watch(Struct):
    """What must not go out, to whichever host: made-up values (canaries) and values of masked files."""

    masked: str = "refuse"  # requests that carry a value of a masked file: refuse | record | off
    environment: tuple[str, ...] = ()  # variables inside that hold a canary
    files: tuple[str, ...] = ()  # files under ~/ inside that hold a canary
    alarm: str = "end"  # when a canary shows up in a request: end the session | refuse the request
    exempt: tuple[str, ...] = ()  # hosts to which these values may go, such as the model's own
    names: int | None = 1000  # different host names below one `*.suffix` that is allowed, in one session
    name_bytes: int | None = 32768  # bytes of what stands before that suffix, of all these names together


class Review(Struct):
    """What may be applied without a person: only with `run --review=auto`."""

    auto: tuple[str, ...] = ()  # globs: applied when nothing else changed, nothing is risky, no conflicts


class RuleText(Struct):
    """One rule about tool calls as it was written, and where: `policy.toolrules` reads it."""

    text: str  # "Bash(npm run *)"
    origin: str = ""
    base: str = ""  # folder that its `/path` starts from: the one of the file that holds it
    narrow: bool = False  # from a layer that may only narrow: it never makes a question of a denial


class Commands(Struct):
    """Rules about what an agent's tools may do, and who answers what they leave open."""

    allow: tuple[RuleText, ...] = ()  # rules written Tool or Tool(specifier): "Bash(npm run *)"
    ask: tuple[RuleText, ...] = ()  # calls that a person answers, one by one
    deny: tuple[RuleText, ...] = ()  # calls that never happen: beats every other rule
    readonly: bool = True  # commands that only look (ls, cat, git log …) need no rule within the workspace
    default: str = "ask"  # what a call is that no rule names: ask | deny
    settings: str = ""  # "claude": the rules in Claude Code's settings files count as well, as they stand
    prompt: str = CLIENT  # who puts a question to a person: the agent's own client, or `ringfence approve`
    prompt_timeout: float = 120.0  # seconds until a question to `ringfence approve` is answered with no
    closed: bool = False  # only managed rules allow: settings of the client's own only deny and ask


class Tools(Struct):
    """The same rules once more, for those who keep tools apart from commands."""

    allow: tuple[RuleText, ...] = ()  # such as "WebFetch(domain:docs.example.com)" or "mcp__github__*"
    ask: tuple[RuleText, ...] = ()  # as in `commands`
    deny: tuple[RuleText, ...] = ()  # as in `commands`


class Container(Struct):
    """How the container tier makes its containers."""

    engine: str = ""  # docker | podman; empty: whichever this machine has, Docker first
    image: str = ""  # "name[:tag][@sha256:…]" that the engine has; empty: the host's own programs
    runtime: str = ""  # one that the engine knows by this name, such as "crun"; empty: its usual one


class Policy(Struct):
    """A whole policy after all layers: nothing below this decides on its own what a user meant."""

    use: tuple[str, ...] = ()  # presets
    tier: tuple[str, ...] = ("sandbox",)  # preferred first; never weaker than the last
    accept: tuple[str, ...] = ()  # protections given up, by name
    workspace: Workspace = Workspace()
    files: Files = Files()
    egress: Egress = Egress()
    credentials: tuple[Credential, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    environment: Environment = Environment()
    limits: Limits = Limits()
    budgets: tuple[Budget, ...] = ()
    model: ModelBudget = ModelBudget()
    watch: Watch = Watch()
    review: Review = Review()
    origins: tuple[tuple[str, str], ...] = ()  # (layer, file) of every layer read, lowest first
    notes: tuple[str, ...] = ()  # what the operator should know: ignored widening, missing trust
    digest: str = ""  # sha256 over the canonical JSON of everything but notes and origins
    commands: Commands = Commands()
    tools: Tools = Tools()
    container: Container = Container()
