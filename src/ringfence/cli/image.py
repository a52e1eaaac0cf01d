"""`ringfence image`: make what the microvm tier boots."""

import sys

from ringfence.canonical import sha256
from ringfence.cli import options
from ringfence.cli.options import Option
from ringfence.errors import HostError, UsageError
from ringfence.host import kernel, probe

USAGE = "ringfence image build --vm [--kernel FILE]"
ABOUT = """\
Make the image that virtual machines boot from: a kernel. Everything else that a guest sees is this machine's
own, as the policy shows it, so there is nothing more to make and nothing that could grow old.

Without --kernel it is the one in the wheel of microsandbox: pip install 'ringfence[vm]'."""
OPTIONS = (
    Option(name="--vm", help="for the microvm tier"),
    Option(
        name="--kernel", value="FILE", help="an ELF kernel or bzImage with virtio-mmio and virtiofs built in"
    ),
)


def main(arguments: list[str]) -> int:
    """Make it; say where it is."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(options.help_text(USAGE, ABOUT, OPTIONS))
        return 0
    if arguments[0] != "build":
        raise UsageError(f"`ringfence image` does not know `{arguments[0]}`", hint=f"usage: {USAGE}")
    given = options.read(arguments[1:], OPTIONS, USAGE)
    if given.rest or "--vm" not in given.switches:
        raise UsageError("say what the image is for: `--vm`", hint=f"usage: {USAGE}")
    file = given.one("--kernel")
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
