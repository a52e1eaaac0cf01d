"""What in a session's changes deserves a second look: one risk a file, each asked about each change."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks import (
    agent_settings,
    assertions_removed,
    build_scripts,
    check_settings,
    checks_off,
    ci,
    containers,
    coverage_lowered,
    deployment,
    editor,
    executables,
    git_files,
    git_state,
    hidden_text,
    hook_managers,
    installed_code,
    links,
    lock_files,
    make,
    mcp,
    misleading_names,
    nested_repository,
    node_package,
    own_policy,
    protected_names,
    python_package,
    python_start,
    python_tests,
    security_off,
    set_id,
    shell_start,
    special_files,
    tests_deleted,
    tests_skipped,
    tool_settings,
    unseen,
    wrappers,
)
from ringfence.workspace.risks.finding import RUNS, WEAKENS, Finding, merged, named_by

RISKS = (
    git_files,
    git_state,
    nested_repository,
    hook_managers,
    ci,
    agent_settings,
    mcp,
    editor,
    shell_start,
    own_policy,
    links,
    special_files,
    set_id,
    executables,
    misleading_names,
    hidden_text,
    unseen,
    python_start,
    python_tests,
    python_package,
    node_package,
    make,
    build_scripts,
    tool_settings,
    wrappers,
    installed_code,
    lock_files,
    containers,
    deployment,
    protected_names,
    tests_deleted,
    tests_skipped,
    assertions_removed,
    checks_off,
    check_settings,
    coverage_lowered,
    security_off,
)
GROUPS = (RUNS, WEAKENS)
GROUP_OF = {risk.NAME: risk.GROUP for risk in RISKS}


# Most files are named by no table at all: then the risks that are a table need not be asked one by one.
_TABLES = tuple(risk.TABLE for risk in RISKS if hasattr(risk, "TABLE"))
_OTHERS = tuple(risk for risk in RISKS if not hasattr(risk, "TABLE"))
_ALL = merged(_TABLES)


def look(change: Change, content: Content) -> tuple[Finding, ...]:
    """Return what every risk finds in one change. Nothing found means that the change is not risky."""
    asked = RISKS if named_by(change, _ALL) else _OTHERS
    return tuple([finding for risk in asked for finding in risk.look(change, content)])
