"""What the launcher hands to the egress process: a sealed configuration of references, no secrets.

It travels as canonical JSON in a sealed memfd. File descriptors are numbers in the egress process.
"""

from ringfence.policy.model import Budget, Credential, EgressRule, Gateway, ModelBudget, Watch
from ringfence.value import Struct

LOOPBACK = ("127.0.0.1", "::1")
LOOPBACK = ("127.0.0.1", "::1")
ALARM = 97  # exit status of the egress process that tells the launcher to end the session


class Listener(Struct):
    """One listening socket that the boundary can reach."""

    fd: int
    # "wire": redirected TCP, SO_ORIGINAL_DST tells where to; "anyip": getsockname tells; "proxy": proxy
    # protocols only; "unix" and "vsock": the same, on a socket of that family
    kind: str


class Publication(Struct):
    """A port inside that is reachable on this machine's loopback."""

    host_address: str  # "127.0.0.1"
    host_port: int
    inside_port: int


class Canary(Struct):
    """A made-up value laid inside the boundary: nobody has a reason to send it anywhere."""

    place: str  # the variable or file that holds it
    value: str


class Handover(Struct):
    """Everything the egress process needs to serve one session."""

    session: str
    policy_digest: str
    listeners: tuple[Listener, ...]
    dns_fd: int | None  # UDP socket in the gate's namespace; None where there is no wire
    control_fd: int  # end of file here means the launcher is gone: stop
    secrets_fd: (
        int | None
    )  # JSON object of the environment variables named by `env:` sources; read once, then closed
    vend_fd: int | None  # ask here for a socket made inside the boundary's network namespace
    audit_path: str  # the session's log; the launcher has written the first records
    authority_dir: str  # this session's certificate authority: ca.pem, ca.key
    ready_dir: str  # where the next session's authority is minted
    allow: tuple[EgressRule, ...]
    ask: tuple[EgressRule, ...]
    deny: tuple[EgressRule, ...]
    splice: tuple[str, ...]
    static: tuple[tuple[str, str], ...]
    extra_ca: tuple[str, ...]
    credentials: tuple[Credential, ...]
    gateways: tuple[Gateway, ...]
    publish: tuple[Publication, ...]
    gate_address: str  # the gate's own address inside, "100.64.0.1" or "127.0.0.1"
    proxy_port: int  # the port proxy variables name
    workspace: str = ""  # no credential source may lie in it: the agent writes there
    state_dir: str = ""  # ringfence's own folder: the day's model costs are kept there
    ledger_dir: str = ""  # where those who share a day's model costs keep them; empty: below state_dir
    session_dir: str = ""  # the session's own: where `ringfence approve` finds the gate
    ask_timeout: float = 120.0  # seconds until a request that waits for an answer is refused
    budgets: tuple[Budget, ...] = ()
    model: ModelBudget = ModelBudget()
    watch: Watch = Watch()
    canaries: tuple[Canary, ...] = ()
    masked: tuple[str, ...] = ()  # files hidden inside whose values must not go out
    proxy: str = ""  # upstream proxy that is dialled through
    proxy_password: str = ""  # the source of its password
    no_proxy: tuple[str, ...] = ()
    resolvers: tuple[tuple[str, str], ...] = ()  # domain -> nameserver
    trust_file: str = ""  # the operator's own bundle of authorities in place of the system's
    trust_dir: str = ""
    content: str = (
        ""  # where it is kept which files hold keys (`workspace.detect`); looked at again and again
    )
    unmask: tuple[str, ...] = ()  # those of them that the policy gives up
    published_at: tuple[str, str] = LOOPBACK  # where a vended socket finds the servers inside


def proxy_credential(proxy: str, source: str) -> tuple[Credential, ...]:
    """Return the upstream proxy's password as a credential, for the sources; it is bound to no host."""
    return (Credential(name="egress.proxy", source=source, host=""),) if proxy and source else ()
