"""A request under way is judged again by what was read of its body, not by a body that has passed."""

from ringfence.cli.policy_explain import handover
from ringfence.egress import passages
from ringfence.egress.gate import Gate, Origin
from ringfence.egress.http1 import parse_request
from ringfence.egress.passages import Passages
from ringfence.policy.model import Egress, EgressRule, Policy
from ringfence.verdict.facts import Facts, GraphQL, Operation
from ringfence.verdict.request import Verdict

HEAD = parse_request(b"POST /graphql HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\n")
READ = Facts(graphql=GraphQL(operations=(Operation(kind="query", fields=("viewer",)),)))


class UnderWay:
    """The little of a request that revoking touches."""

    head = HEAD
    ended = False

    def abort(self):
        self.ended = True


def revoked(*graphql):
    """Return how many requests a new policy ends, and whether this one was."""
    policy = Policy(egress=Egress(allow=(EgressRule(host="a.test", graphql=graphql),)))
    made = Gate(handover(policy))
    held, inbound = Passages(), UnderWay()
    target = made.target(HEAD, Origin(kind="tunnel", scheme="https"))
    held.requests[inbound] = (target, Verdict(effect="allow", facts=READ))
    return held.revoke(made), inbound.ended


def test_an_operation_that_the_new_policy_names_goes_on():
    assert revoked("query") == (0, False)
    assert revoked("query viewer", "mutation") == (0, False)


def test_an_operation_that_it_does_not_name_is_ended():
    assert revoked("mutation") == (1, True)
    assert revoked("query other") == (1, True)


def test_a_request_that_waited_goes_on_only_under_rules_that_allow_it():
    old = allowing("query")
    target = old.target(HEAD, Origin(kind="tunnel", scheme="https"))
    verdict = Verdict(effect="allow", facts=READ)
    assert passages.revoked(old, old, UnderWay(), target, verdict) is None
    assert passages.revoked(old, allowing("query viewer"), UnderWay(), target, verdict) is None
    assert passages.revoked(old, allowing("mutation"), UnderWay(), target, verdict).status == 403


def allowing(*graphql):
    policy = Policy(egress=Egress(allow=(EgressRule(host="a.test", graphql=graphql),)))
    return Gate(handover(policy))
