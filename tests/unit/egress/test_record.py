"""What the gate writes: the usual verdict is spelled in place, and says what the long way says."""

import asyncio
import json

import pytest

from ringfence.audit.event import MAX_FIELD
from ringfence.egress.record import Record
from ringfence.policy.model import EgressRule
from ringfence.verdict.request import Verdict

RULE = EgressRule(host="api.example.com", origin='file "x"')


class Log:
    """Takes what would be written."""

    def __init__(self):
        self.found = []

    def append_spelled(self, kind, own, *, later=False):
        self.found.append((kind, own, later))

    def flush(self):
        pass


def written(act):
    log = Log()

    async def run():
        act(Record(log, lambda _: None))

    asyncio.run(run())
    return log.found


@pytest.mark.parametrize("effect", ["allow", "deny"])
@pytest.mark.parametrize("reason", ["", "because"])
@pytest.mark.parametrize("raw", ["", "API.example.com"])
@pytest.mark.parametrize("credential", ["", "anthropic"])
@pytest.mark.parametrize("path", ['/a?b="c\x7f\u00e9', "/" + "x" * MAX_FIELD])
def test_a_verdict_is_spelled_as_any_record(effect, reason, raw, credential, path):
    verdict = Verdict(effect=effect, rule=RULE, reason=reason)
    fields = {
        "host": "api.example.com",
        "method": "GET",
        "path": path,
        "port": 443,
        "scheme": "https",
        "source": "gateway x",
    }
    more = {name: value for name, value in {"raw_host": raw, "credential": credential}.items() if value}
    short = written(lambda record: record.request(verdict, raw_host=raw, credential=credential, **fields))
    long = written(lambda record: record.verdict(verdict, **fields, **more))
    assert [one[:2] for one in short] == [one[:2] for one in long]


@pytest.mark.parametrize("seconds", [0.0, 0.00005, 0.0001, 0.00123, 0.03, 1.0, 12345.6789])
def test_an_answer_is_spelled_as_any_record(seconds):
    usual = {"host": "h", "status": 200, "up": 1, "down": 2, "seconds": seconds}
    ((kind, own, later),) = written(lambda record: record.response(**usual, notes={}))
    ((_, noted, _),) = written(lambda record: record.response(**usual, notes={"zz": 1}))
    assert (kind, later) == ("response", True)
    assert noted == own + ',"zz":1'
    assert json.loads("{" + own[1:] + "}")["ms"] == pytest.approx(seconds * 1000, abs=0.1)
