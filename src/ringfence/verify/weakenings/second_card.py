"""A virtual machine with a second network card, behind which QEMU is the router."""

from ringfence.boundary.tiers import microvm
from ringfence.verify.weakenings import replace


def weaken() -> None:
    """Add the card to the machine."""
    old = microvm._qemu  # noqa: SLF001 - taken apart on purpose
    card = ("-netdev", "user,id=second", "-device", "virtio-net-device,netdev=second")
    replace(microvm, "_qemu", lambda *given, **named: (*old(*given, **named), *card))
