"""git in another folder obeys the settings of the repository that it finds there.

A repository's own configuration names programs (`core.fsmonitor`, `diff.external`, hooks): `cd other &&
git status` runs them. Claude Code asks for the same reason.
"""

NAME = "cd-git"
TITLE = "git in another folder"
ADVICE = "Run git where the session started."
EXAMPLE = "cd vendor/lib && git status"
HARMLESS = "git status"
