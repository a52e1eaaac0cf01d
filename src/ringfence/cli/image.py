"""`ringfence image`: make what the microvm tier boots, and images for the container tier."""

import sys

from ringfence.canonical import sha256
from ringfence.cli import options
from ringfence.cli.options import Given, Option
from ringfence.errors import BoundaryError, HostError, UsageError
from ringfence.host import kernel, probe

USAGE = (
    "ringfence image build [--vm [--kernel FILE] | --engine ENGINE --name NAME --package NAME --with PATH]"
)
ABOUT = """\
Make an image for containers from packages of this machine, without a registry: a shell, git, Python and what
else of an agent's usual tools is installed, with all that they depend on (Debian and those like it).
Configuration that was changed here stays here. A policy then names it: [container] image = "NAME".

With --vm, make what virtual machines boot from: a kernel. Everything else that a guest sees is this machine's
own, as the policy shows it. Without --kernel it is the one in the wheel of microsandbox:
pip install 'ringfence[vm]'."""
OPTIONS = (
    Option(name="--vm", help="for the microvm tier"),
    Option(
        name="--kernel", value="FILE", help="an ELF kernel or bzImage with virtio-mmio and virtiofs built in"
    ),
    Option(name="--engine", value="ENGINE", help="docker or podman; without it whichever there is"),
    Option(name="--name", value="NAME", help="of the image; without it ringfence-agent"),
    Option(
        name="--package",
        value="NAME",
        help="this one and what it needs, instead of the usual ones",
        many=True,
    ),
    Option(name="--with", value="PATH", help="also this file or folder, where it is here", many=True),
)
_NAME = "ringfence-agent"


def main(arguments: list[str]) -> int:
    """Make it; say where it is."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(options.help_text(USAGE, ABOUT, OPTIONS))
        return 0
    if arguments[0] != "build":
        raise UsageError(f"`ringfence image` does not know `{arguments[0]}`", hint=f"usage: {USAGE}")
    given = options.read(arguments[1:], OPTIONS, USAGE)
    if given.rest:
        raise UsageError(f"`ringfence image build` takes no `{given.rest[0]}`", hint=f"usage: {USAGE}")
    return _kernel(given.one("--kernel")) if "--vm" in given.switches else _image(given)


def _kernel(file: str) -> int:
    data = kernel.given(file) if file else _bundled()
    place = f"{probe.host().state_dir}/images/kernel"
    kernel.put(data, place)
    print(f"{place}  sha256:{sha256(data)}")
    return 0


def _bundled() -> bytes:
    library = kernel.bundled()
    if not library:
        raise HostError(
            "no kernel was found: the wheel of microsandbox is not installed",
            hint="pip install 'ringfence[vm]', or name one: --kernel FILE",
        )
    return kernel.of_library(library)


def _image(given: Given) -> int:
    import mmap
    import tempfile

    from ringfence.host import image, packages, runtimes

    host = probe.host()
    found = runtimes.container(host, host.state_dir, engine=given.one("--engine"))
    if found.refused:
        raise HostError(f"no container engine can be used: {found.refused}", hint=found.mend)
    engine = runtimes.engine_of(found)
    name = _named(given.one("--name", _NAME), engine.kind)
    there = packages.installed()
    wanted = tuple(given.all("--package")) or tuple(one for one in packages.USUAL if one in there)
    taken = packages.closure(wanted, there)
    beside = [path for one in given.all("--with") for path in image.below(one, host.home)]
    with tempfile.TemporaryFile(dir="/var/tmp") as file:
        try:
            image.write(file, [*packages.files(taken), *beside], packages.top_links())
            file.flush()
        except OSError as error:
            raise HostError(
                f"the image could not be written: {error.strerror}", hint="free some space in /var/tmp"
            ) from None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as archive, memoryview(archive) as content:
            size = len(content)
            engine.load(name, content)
    made = engine.find(name)
    if made is None:
        raise BoundaryError(f"{engine.kind} has made no image {name}", hint="its log says more")
    print(f"{name}  {made.id}  {size / 1e6:.0f} MB, {len(taken)} packages, for {engine.kind}")
    return 0


def _named(name: str, kind: str) -> str:
    from ringfence.policy.kinds import image

    try:
        image(name)
    except ValueError as error:
        raise UsageError(f"`{name}` cannot be an image's name: {error}", hint="such as agent:1") from None
    last = name.rpartition("/")[2]
    if "@" in name or name != name.lower():
        raise UsageError(f"`{name}` cannot be an image's name", hint="lower case, without a digest: agent:1")
    name = name if ":" in last else f"{name}:latest"
    return f"localhost/{name}" if kind == "podman" and "/" not in name else name
