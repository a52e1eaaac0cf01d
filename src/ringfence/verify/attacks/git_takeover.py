"""S13: git on the host made to run a program: the project turned into a bare repository, git files planted.

Everything made here is new, with a name that was free, and taken away again by the battery's
outside half, which is also the judge: what counts is what the host finds after the session.
"""

import os

from ringfence.verify.prelude import Tally

_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tfsmonitor = false\n"


def attack(facts):
    """Make what can be made; the battery looks afterwards at what is left of it."""
    tally = Tally()
    made = []
    for path, content in _files(facts.get("root") or os.getcwd()):
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "x", encoding="ascii") as file:
                file.write(content)
            made.append(path)
        except OSError:
            continue
    tally.expect("planted", True, f"{len(made)} of the files could be made inside; the host decides")  # noqa: FBT003
    return {**tally.finding(), "made": made}


def _files(root):
    """A bare repository at the top of the project and below it, and files that git of the host obeys."""
    for place in (root, os.path.join(root, "ringfence-verify-bare")):
        yield os.path.join(place, "HEAD"), "ref: refs/heads/main\n"
        yield os.path.join(place, "config"), _CONFIG
        yield os.path.join(place, "objects", "ringfence-verify"), ""
        yield os.path.join(place, "refs", "ringfence-verify"), ""
    yield os.path.join(root, "ringfence-verify-link", ".git"), "gitdir: ../ringfence-verify-bare\n"
    git = os.path.join(root, ".git")
    if os.path.isdir(git):
        yield os.path.join(git, "commondir"), "../ringfence-verify-bare\n"
        yield os.path.join(git, "config.worktree"), _CONFIG
        yield os.path.join(git, "hooks", "ringfence-verify"), "#!/bin/sh\n"
        yield os.path.join(git, "modules", "ringfence-verify", "config"), _CONFIG
        yield os.path.join(git, "worktrees", "ringfence-verify", "config.worktree"), _CONFIG
