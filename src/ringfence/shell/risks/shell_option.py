"""An option of the shell changes how the rest is read or which files a pattern means.

`shopt -s expand_aliases`, `set -k` (assignments anywhere), `set -a` (everything is exported), `extglob`,
`dotglob`.
"""

NAME = "shell-option"
TITLE = "An option that changes how the shell reads"
ADVICE = "Leave the option as it is."
EXAMPLE = "shopt -s dotglob; cat *"
HARMLESS = "set -euo pipefail; ls"
