"""No system-call filter: every call is allowed, in whatever way a tier loads its filter."""

import struct

from ringfence.boundary import seccomp, seccomp_oci
from ringfence.verify.weakenings import no_landlock, replace

_ALLOW = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)


def weaken() -> None:
    """Load a filter that allows everything, so that what depends on there being one still works."""
    replace(seccomp, "assemble", lambda *_given: _ALLOW)
    replace(seccomp_oci, "profile", lambda *_given: {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []})
    no_landlock()
