"""An option has another program started.

An option of a harmless program names another one that it starts: `sort --compress-program`, `rg --pre`,
`tar -I`, `rsync -e`, `ssh -o ProxyCommand` (CVE-2025-58764, CVE-2025-66032), or points it at a folder
whose programs it starts.
"""

NAME = "option-runs-program"
TITLE = "An option has another program started"
ADVICE = "Leave the option out."
EXAMPLE = "sort --compress-program=./x big"
HARMLESS = "sort -S 10M big"
