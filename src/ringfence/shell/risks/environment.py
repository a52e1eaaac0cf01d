"""A variable is set that chooses what runs, what is loaded, which settings are read or which host is asked.

`PATH`, `LD_PRELOAD`, `PAGER`, `GIT_…`, `BASH_ENV`, `PYTHONSTARTUP`, `NODE_OPTIONS` and their kin turn the
next allowed command into another one (CVE-2026-22708 Cursor, CVE-2026-44463 Zed, CVE-2026-27566
OpenClaw). It counts however it is set: before a command, alone, by `export`, `for`, `read`, `printf -v`
or `${x:=y}`.
"""

NAME = "environment"
TITLE = "A variable that changes what programs do"
ADVICE = "Leave the variable alone, or let the operator set it for the session."
EXAMPLE = "PAGER='sh -c id' git log"
HARMLESS = "NODE_ENV=test npm run test"
