"""No masks: credential files of the project are shown."""

from ringfence import preparation
from ringfence.boundary.model import Plan
from ringfence.boundary.plan import plan as old
from ringfence.value import replace as with_
from ringfence.verify.weakenings import replace


def weaken() -> None:
    """Take what hides a file out of every plan."""

    def plan(*given: object, **named: object) -> Plan:
        made = old(*given, **named)  # type: ignore[arg-type]
        mounts = tuple(one for one in made.mounts if one.kind != "mask")
        return with_(made, mounts=mounts, workspace=with_(made.workspace, hidden=()))

    replace(preparation, "plan", plan)
