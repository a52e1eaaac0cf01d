"""S13: git on the host made to run a program: the project turned into a bare repository, git files planted.

Everything made here is new, with a name that was free, and taken away again by the battery's
outside half, which is also the judge: what counts is what the host finds after the session.
"""

import os

from ringfence.verify.prelude import Tally

_HEAD = "ref: refs/heads/main\n"
BARE = "ringfence-verify-bare"


def attack(facts):
    """Make what can be made; the battery then asks the host's git, in each place, what it reads."""
    tally = Tally()
    made = []
    root = facts.get("root") or os.getcwd()
    config = f"[core]\n\trepositoryformatversion = 0\n[ringfence]\n\tverify = {facts['token']}\n"
    for path, content in _files(root, config):
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "x", encoding="ascii") as file:
                file.write(content)
            made.append(path)
        except OSError:
            continue
    tally.expect("planted", True, f"{len(made)} files could be made")
    return {**tally.finding(), "made": made}


def _repository(place, config):
    yield f"{place}/HEAD", _HEAD
    yield f"{place}/objects/ringfence-verify", ""
    yield f"{place}/refs/ringfence-verify", ""
    yield f"{place}/config", config


def _files(root, config):
    """Repositories of every shape that git finds by itself, and files of git's own in the project's."""
    new = f"{root}/ringfence-verify"
    yield from _repository(root, config)
    yield from _repository(f"{new}-bare", config)
    yield from _repository(f"{new}-named.git", config)
    yield from _repository(f"{new}-nested/.git", config)
    yield f"{new}-file/.git", "gitdir: ../ringfence-verify-named.git\n"
    # HEAD here, everything else where commondir says: neither folder looks like a repository by itself
    yield f"{new}-split/HEAD", _HEAD
    yield f"{new}-split/commondir", "../ringfence-verify-common\n"
    yield from (
        (path, text) for path, text in _repository(f"{new}-common", config) if not path.endswith("/HEAD")
    )
    git = f"{root}/.git"
    if not os.path.isdir(git):
        return
    yield from _repository(f"{git}/modules/ringfence-verify", config)
    yield f"{new}-module/.git", "gitdir: ../.git/modules/ringfence-verify\n"
    yield f"{git}/worktrees/ringfence-verify/HEAD", _HEAD
    yield f"{git}/worktrees/ringfence-verify/commondir", "../../../ringfence-verify-common\n"
    yield f"{new}-tree/.git", "gitdir: ../.git/worktrees/ringfence-verify\n"
    yield f"{git}/commondir", "../ringfence-verify-common\n"
    yield f"{git}/config.worktree", config
    yield f"{git}/hooks/ringfence-verify", "#!/bin/sh\n"
