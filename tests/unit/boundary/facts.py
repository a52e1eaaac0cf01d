"""A made-up machine and project: what a plan depends on, with nothing of the machine that runs the tests."""

from ringfence.boundary.model import Wire
from ringfence.boundary.survey import Entry, Survey
from ringfence.host.model import Host
from ringfence.host.toolchains import Toolchain
from ringfence.value import replace
from ringfence.workspace.scan import Findings, Found

HOME, ROOT = "/home/ada", "/home/ada/work/project"
PRIVATE = Wire(kind="private", gate_address="100.64.0.1", proxy_port=3128)
LOOPBACK = Wire(kind="loopback", gate_address="127.0.0.1", proxy_port=3128, why="the kernel said no")


def host(**changes):
    made = Host(
        system="linux", arch="x86_64", uid=1000, gid=1001, user="ada", home=HOME,
        path=("/home/ada/tools/bin", "/usr/bin", "/bin"), set_variables=frozenset({"MY_TOKEN", "API_KEY"}),
        variables=(("TERM", "xterm"), ("LC_ALL", "C")), config_dir=f"{HOME}/.config/ringfence",
        state_dir=f"{HOME}/.local/state/ringfence", cache_dir=f"{HOME}/.cache/ringfence",
        managed_policy="/etc/ringfence/policy.toml", bwrap="/usr/bin/bwrap", system_bwrap="/usr/bin/bwrap",
    )  # fmt: skip
    return replace(made, **changes)


def found(path, rule="", *, folder=False):
    return Found(path=path, rule=rule or f"**/{path.rpartition('/')[2]}", directory=folder)


def survey(**changes):
    made = Survey(
        workspace=ROOT, owner=1000, writable=True,
        system=(Entry(path="/usr"), Entry(path="/bin", link="usr/bin")),
        etc=(Entry(path="/etc/ld.so.cache"), Entry(path="/etc/localtime", link="/usr/share/zoneinfo/UTC")),
        toolchains=(Toolchain(path="/home/ada/tools", why="/home/ada/tools/bin is on PATH"),),
        readable=("/srv/docs", "/srv/one.txt"), writable_paths=("/srv/out",), missing=("/srv/gone",),
        plain_files=frozenset({"/srv/one.txt"}),
        findings=Findings(
            hidden=(found(".env", "**/.env*"), found("deploy/.aws", folder=True), found("x/.envrc", "**/.env*")),
            protected=(found("x/.envrc"), found("a/b/.vscode", folder=True), found(".git/config"), found(".git/hooks", folder=True)),
            entries=42,
        ),
        identities=(), hidden_elsewhere=(("/srv/docs/key.pem", "**/*.pem", False),), proc=("/proc/keys",), protected_elsewhere=(), clean_configs=(), git_user=("Ada", "ada@example.test"),
        landlock=7, trust=(("/usr/lib/ssl/cert.pem", "bundle"), ("/nix/cert.pem", "bundle")), java=False, cgroup="", command="/usr/bin/tool",
    )  # fmt: skip
    return replace(made, **changes)
