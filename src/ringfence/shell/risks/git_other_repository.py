"""git works in another repository.

A repository is code: its configuration names hooks, a file system monitor, filters, a pager. `git -C evil
status` runs what `evil/.git/config` says (GHSA-ph6w-f82w-28w6 and its kin).
"""

NAME = "git-other-repository"
TITLE = "git works in another repository"
ADVICE = "Work in the repository that the session is about."
EXAMPLE = "git -C ../other status"
HARMLESS = "git status"
