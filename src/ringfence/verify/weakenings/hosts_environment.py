"""The operator's environment, inherited."""

from ringfence.boundary import environment
from ringfence.host import probe
from ringfence.verify.weakenings import replace


def weaken() -> None:
    """Add every variable of this process's to those of the plan."""
    old = environment.variables

    def variables(policy: object, host: object, **named: object) -> object:
        own = probe.settings(host.set_variables)  # type: ignore[attr-defined]
        return tuple(sorted({**own, **dict(old(policy, host, **named))}.items()))  # type: ignore[arg-type]

    replace(environment, "variables", variables)
