"""git is given settings, or changes them.

Global options and settings of git's can name programs: `-c core.pager=…`, `-c alias.x='!…'`,
`--config-env`, `--exec-path`, and `git config` writes the same for good (GHSA-xq4m-mc3c-vvg3). Only
options that surely name nothing are let pass.
"""

NAME = "git-option"
TITLE = "git is given settings, or changes them"
ADVICE = "Leave the option out, or have a person set it once."
EXAMPLE = "git -c diff.external=./x diff"
HARMLESS = "git --no-pager diff"
