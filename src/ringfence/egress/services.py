"""What every conversation of one session shares."""

import asyncio

from ringfence.egress.dns import Names
from ringfence.egress.gate import Gate
from ringfence.egress.keys import Keys
from ringfence.egress.leaf import Contexts
from ringfence.egress.passages import Passages
from ringfence.egress.record import Record
from ringfence.egress.stream import Registry
from ringfence.egress.upstream import Upstreams


class Services:
    """The parts of the gate's process, made once."""

    def __init__(
        self,
        *,
        gate: Gate,
        keys: Keys,
        upstreams: Upstreams,
        contexts: Contexts,
        names: Names,
        record: Record,
        registry: Registry,
    ) -> None:
        self.gate = gate
        self.keys = keys
        self.upstreams = upstreams
        self.contexts = contexts
        self.names = names
        self.record = record
        self.registry = registry
        self.passages = Passages()
        self.busy = 0  # exchanges and tunnels under way
        self.served = asyncio.Event()  # set once the first request has been answered
