"""git starts another program.

Some of git's own options and commands start programs: `--upload-pack`, `--ext-diff`, `--textconv`, `grep
-O`, `difftool -x`, `rebase -x`, `bisect run`, `ext::` addresses; any unambiguous abbreviation will do. A
command that git does not have is an alias or a program called git-NAME.
"""

NAME = "git-runs"
TITLE = "git starts another program"
ADVICE = "Run the program by itself, so that a rule can name it."
EXAMPLE = "git ls-remote --upload-pa='touch x' ."
HARMLESS = "git ls-remote origin"
