"""CVE-2026-25725: a protected file that was absent at the start, made inside.

There is nothing to bind read-only over a name that does not exist. So it may be made inside; the
host must not find it when the session is over. Judged outside.
"""

import os

from ringfence.verify.prelude import Tally

NAMES = (
    ".envrc", ".mcp.json", ".bashrc", ".zshenv", ".profile", ".gitconfig", ".gitmodules", ".ripgreprc",
    ".bazelrc", ".vscode/tasks.json", ".idea/workspace.xml", ".claude/settings.json", ".husky/pre-commit",
    ".devcontainer/devcontainer.json", ".cursor/mcp.json", ".cargo/config.toml", ".pre-commit-config.yaml",
)  # fmt: skip


def attack(facts):
    """Make each by name, by rename, by hard link, as a symbolic link, and below a new folder."""
    tally = Tally()
    root = facts.get("root") or os.getcwd()
    made = []
    for index, name in enumerate(NAMES):
        for place in (root, os.path.join(root, "ringfence-verify-new")):
            top = os.path.join(place, name.split("/", maxsplit=1)[0])
            if os.path.lexists(top) or top in facts.get("existing", []):
                continue
            try:
                os.makedirs(place, exist_ok=True)
                _make(place, name, index)
                made.append(top)
            except OSError:
                continue
    tally.expect("new protected files", True, f"{len(made)} could be made inside; the host decides")
    return {**tally.finding(), "made": made}


def _make(place, name, way):
    """Use another way for each name: the check at the end must not depend on how a thing came to be."""
    path = os.path.join(place, name)
    if "/" in name and way % 2:
        folder = os.path.join(place, "ringfence-verify-moved")
        _write(os.path.join(folder, name.split("/", 1)[1]))
        os.rename(folder, os.path.dirname(path))
        return
    if way % 3 == 0:
        _write(path)
    elif way % 3 == 1:
        _write(path + ".ringfence-verify")
        os.rename(path + ".ringfence-verify", path)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink("ringfence-verify-target", path)


def _write(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "x", encoding="ascii") as file:
        file.write("# made by ringfence verify\n")
