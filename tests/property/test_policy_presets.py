"""The order in which presets are named does not matter, and no set of them contradicts itself."""

import os
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.host.model import Host
from ringfence.policy import parameters, preset
from ringfence.policy.load import effective

ARGUMENTS = {
    "repository": "acme/app@agent/*",
    "npm": "react,@babel/core",
    "pypi": "requests",
    "region": "us-east-1",
    "project": "acme-prod/us-east5",
}
USES = [
    f"{name}:{ARGUMENTS[parameters.KINDS[name]]}" if name in parameters.KINDS else name
    for name in preset.names()
]


@settings(max_examples=25, deadline=None)
@given(st.permutations(USES).flatmap(lambda names: st.integers(0, len(names)).map(lambda n: names[:n])))
def test_the_order_of_presets_does_not_matter(names):
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(root + "/w")
        host = Host(
            system="linux",
            arch="x86_64",
            uid=0,
            gid=0,
            user="ada",
            home=root + "/h",
            path=(),
            set_variables=frozenset(),
            variables=(),
            config_dir=root,
            state_dir=root,
            cache_dir=CACHE,
            managed_policy=root + "/m",
            bwrap="",
            system_bwrap="",
        )
        digests = set()
        for order in (names, names[::-1]):
            with open(root + "/policy.toml", "w", encoding="utf-8") as file:
                file.write(f"use = [{', '.join(repr(name) for name in order)}]")
            digests.add(effective(host, root + "/w").digest)
        assert len(digests) == 1


CACHE = "/proc/nowhere"  # every run parses for itself
