"""Container engines and clusters: their command lines act somewhere else.

What they do there is for rules to say (`kubectl get *`); what is found here is what reaches back into this
machine or to another one: mounts, other sockets and contexts, commands run in containers.
"""

from ringfence.shell.facts import KNOWN, READ, WRITE, Value
from ringfence.shell.options import Parsed, Table, part
from ringfence.shell.programs.draft import OPTION, Draft

_GLOBAL = """-H --host -c --context --config -l --log-level --tlscacert --tlscert --tlskey --url
--connection --identity -n --namespace --root --runroot"""
_DOCKER_ELSEWHERE = frozenset(
    """-H --host -c --context --config --url --connection --identity --tlscacert --tlscert --tlskey --root
    --runroot --storage-opt --hooks-dir --conmon --runtime -r --remote""".split()
)
_RUN = Table(
    {
        "": """d detach i interactive t tty rm init P publish-all read-only no-healthcheck sig-proxy
        disable-content-trust oom-kill-disable q quiet it no-deps T build service-ports use-aliases
        remove-orphans
        replace tls-verify rmi no-hosts""",
        "data=": """name e env w workdir u user p publish network net h hostname entrypoint l label m memory c
        cpus cpu-shares cpu-period cpu-quota cpuset-cpus memory-swap restart stop-signal stop-timeout platform
        pull log-driver log-opt shm-size tmpfs ulimit add-host dns dns-search dns-option expose ip ip6
        mac-address network-alias health-cmd health-interval health-retries health-timeout
        health-start-period kernel-memory annotation domainname a attach group-add isolation link
        pids-limit sysctl detach-keys index scale blkio-weight memory-reservation memory-swappiness""",
        "read=": "env-file label-file",
        "write=": "cidfile iidfile",
        "mount=": "v volume mount volumes-from",
        "risk:container-engine": "privileged",
        "risk:container-engine=": """cap-add device security-opt pid ipc uts userns cgroupns cgroup-parent
        device-cgroup-rule gpus runtime volume-driver storage-opt hooks-dir rootfs""",
    },
    permute=False,
    risky=True,
)
_BUILD = Table(
    {
        "": "q quiet no-cache pull rm force-rm compress squash load progress-x check D debug push-x",
        "data=": """t tag build-arg target platform label network progress cache-from cache-to add-host
        memory m cpu-shares c shm-size ulimit builder metadata-x isolation attest provenance sbom annotation
        no-cache-filter allow-x cgroup-parent security-opt""",
        "read=": "f file secret ssh build-context",
        "write=": "iidfile metadata-file o output",
        "risk:container-engine": "push",
        "risk:container-engine=": "allow",
    },
    risky=True,
)
_DOCKER_QUIET = frozenset(
    """ps images info version inspect logs stats top port diff history search events df ls list config
    wait help image container volume network system context compose buildx manifest pod machine
    scout""".split()
)


def _docker(draft: Draft) -> None:
    """Read `docker`, `podman` and their kin."""
    words = draft.arguments
    at = -1 if draft.program.endswith("-compose") else 0
    while 0 <= at < len(words) and words[at].text.startswith("-") and words[at].certainty == KNOWN:
        name, equals, _ = words[at].text.partition("=")
        if name in _DOCKER_ELSEWHERE or words[at].text[:2] == "-H":
            draft.finding(
                "container-engine", "commands another engine, or this one by other settings", words[at]
            )
        at += 2 if name in _GLOBAL.split() and not equals else 1
    if at >= len(words):
        return
    if at > 0:
        draft.canonical = (Value(text=draft.program, span=draft.invocation.span), *words[at:])
    verb = words[at].text if at >= 0 else "compose"
    if verb in {"container", "image", "compose", "buildx", "pod", "builder", "system", "volume", "network"}:
        at, verb = _inner(draft, words, at)
        if at >= len(words):
            return
    rest = words[at + 1 :]
    if verb in {"run", "create"}:
        _container(draft, draft.apply(_RUN, rest), start=1, image=True)
    elif verb == "exec":
        _container(draft, draft.apply(_RUN, rest), start=1, image=False)
    elif verb in {"build", "bake", "buildx"}:
        parsed = draft.apply(_BUILD, rest)
        for value in parsed.operands:
            if "://" in value.text:
                draft.endpoint(value)
            else:
                draft.read(value, tree=True)
    elif verb == "cp":
        _copies(draft, rest)
    else:
        _other(draft, verb, words[at], rest)


def _inner(draft: Draft, words: tuple[Value, ...], at: int) -> tuple[int, str]:
    """Go on to the verb behind `compose`, `container`, …; note the files that compose is given."""
    place = at + 1
    while place < len(words) and words[place].text.startswith("-"):
        text = words[place].text
        name, equals, _ = text.partition("=")
        takes = name in {
            "-f",
            "--file",
            "-p",
            "--project-name",
            "--env-file",
            "--profile",
            "--project-directory",
            "--builder",
        }
        if name in {"-f", "--file", "--env-file"}:
            value = part(words[place], len(name) + 1) if equals else None
            value = value or (words[place + 1] if place + 1 < len(words) else None)
            if value is not None:
                draft.read(value, OPTION)
        if name == "--project-directory":
            draft.finding("container-engine", "works in another folder", words[place])
        place += 2 if takes and not equals else 1
    return place, words[place].text if place < len(words) else ""


def _container(draft: Draft, parsed: Parsed, *, start: int, image: bool) -> None:
    for value in parsed.values("mount"):
        _mount(draft, value)
    for one in parsed.given:
        if one.name in {"net", "network"} and one.value is not None and one.value.text == "host":
            draft.finding("container-engine", "shares this machine's network", one.value)
    command = parsed.operands[start:]
    entry = [one.value for one in parsed.given if one.name == "entrypoint" and one.value is not None]
    draft.runner = not image or bool(command) or bool(entry)
    if command:
        draft.run(command)
        where = parsed.operands[0]
        draft.literal = next((at + 3 for at, word in enumerate(draft.arguments) if word is where), 0)
    for value in entry:
        draft.run([value, *command])


def _mount(draft: Draft, value: Value) -> None:
    """Note what of this machine a container sees: `-v /:/host`, `--mount type=bind,src=…`."""
    if value.certainty != KNOWN:
        draft.uncertain(value)
        return
    text = value.text
    if "=" in text:
        fields = dict(field.partition("=")[::2] for field in text.split(","))
        source = fields.get("src") or fields.get("source") or ""
        readonly = "readonly" in fields or "ro" in fields
        if fields.get("type", "volume") != "bind":
            return
    else:
        pieces = text.split(":")
        if len(pieces) < 2:
            return
        source, readonly = pieces[0], "ro" in pieces[-1].split(",")
    if not source.startswith((".", "/", "~", "$")):
        return  # a named volume
    path = Value(text=source, span=value.span)
    draft.touch(READ if readonly else WRITE, path, OPTION, tree=True)
    if source.rstrip("/") in {
        "",
        "/var/run",
        "/run",
        "/etc",
        "/proc",
        "/sys",
        "/dev",
        "/root",
        "/home",
        "/boot",
        "/usr",
        "/var",
    } or source.endswith(".sock"):
        draft.finding("container-engine", "mounts a part of this machine that is more than a project", value)


def _copies(draft: Draft, words: tuple[Value, ...]) -> None:
    operands = [word for word in words if not word.text.startswith("-") or word.text == "-"]
    for at, value in enumerate(operands[:2]):
        if value.certainty != KNOWN:
            draft.uncertain(value)
        elif ":" not in value.text.partition("/")[0] and value.text != "-":
            draft.touch(READ if at == 0 else WRITE, value, tree=True)


def _other(draft: Draft, verb: str, word: Value, rest: tuple[Value, ...]) -> None:
    if word.certainty != KNOWN:
        draft.uncertain(word)
    for value in rest:
        if value.certainty != KNOWN:
            draft.uncertain(value)
    if verb in {
        "push",
        "login",
        "logout",
        "tag",
        "commit",
        "swarm",
        "stack",
        "service",
        "node",
        "plugin",
        "secret",
        "trust",
        "import",
        "load",
        "update",
        "rename",
        "unshare",
        "machine",
    }:
        draft.finding("container-engine", "changes something outside this boundary", word)
    if verb in {"save", "export"}:
        for at, value in enumerate(rest):
            if value.text in {"-o", "--output"} and at + 1 < len(rest):
                draft.finding("option-writes", "", rest[at + 1])
                draft.write(rest[at + 1], OPTION)
    draft.complete = verb in _DOCKER_QUIET


_KUBE = Table(
    {
        "": """A all-namespaces w watch R recursive i stdin t tty o-x all force it previous p f-follow
        show-labels no-headers follow h help quiet""",
        "data=": """n namespace l selector o output field-selector c container since tail replicas timeout
        for sort-by image port type target-port v template chunk-size limit user cluster as as-group
        field-manager dry-run request-timeout grace-period""",
        "elsewhere=": """kubeconfig context s server token certificate-authority client-key
        client-certificate tls-server-name password username cache-dir""",
        "elsewhere": "insecure-skip-tls-verify",
        "file=": "f filename k kustomize from-file values patch-file set-file from-env-file",
    },
    permute=True,
    risky=True,
)


def _kubectl(draft: Draft) -> None:
    """Read `kubectl` and its kin."""
    words = draft.arguments
    cut = next((at for at, word in enumerate(words) if word.text == "--"), len(words))
    parsed = draft.apply(_KUBE, words[:cut])
    for one in parsed.given:
        if one.role == "elsewhere":
            draft.finding("container-engine", "commands another cluster, or as somebody else", one.word)
    verb = parsed.operands[0].text if parsed.operands else ""
    for one in parsed.given:
        if one.role == "file" and one.value is not None and not (verb == "logs" and one.name == "f"):
            if "://" in one.value.text:
                draft.endpoint(one.value)
            else:
                draft.read(one.value, OPTION, tree=True)
    for value in parsed.operands:
        if value.certainty != KNOWN:
            draft.uncertain(value)
    if parsed.operands and parsed.operands[0] is not words[0]:
        at = next(place for place, word in enumerate(words) if word is parsed.operands[0])
        draft.canonical = (Value(text=draft.program, span=draft.invocation.span), *words[at:])
    if verb in {"exec", "run", "debug", "attach"}:
        draft.finding("remote-shell", "runs a command in the cluster")
        draft.runner = True
        draft.run(words[cut + 1 :] or tuple(parsed.operands[2:]))
    elif verb in {"proxy", "port-forward"}:
        draft.finding("container-engine", "opens the cluster to this machine")
    elif verb in {"edit", "plugin", "krew"}:
        draft.finding("opener", "opens an editor or runs another program")
    elif (
        verb == "config"
        and len(parsed.operands) > 1
        and parsed.operands[1].text
        not in {"view", "get-contexts", "current-context", "get-clusters", "get-users"}
    ):
        draft.finding("container-engine", "changes which cluster is commanded")
    elif verb == "cp":
        _copies(draft, tuple(parsed.operands[1:]))


PROGRAMS = {
    **dict.fromkeys(
        ("docker", "podman", "nerdctl", "docker-compose", "podman-compose", "buildah", "finch"), _docker
    ),
    **dict.fromkeys(
        ("kubectl", "oc", "helm", "k3s", "k9s", "kustomize", "minikube", "kind", "k3d", "argocd", "istioctl"),
        _kubectl,
    ),
}
