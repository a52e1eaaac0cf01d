"""Which program runs is known only when it runs.

A variable, a substitution, braces or a pattern in the place of the command's name (`$x`, `c{u,}rl`,
`/usr/bin/c?rl`, `${x:-curl}`) come to whatever the shell makes of them; a denied name is never spelled there.
Every product that matched text fell for one of these forms (CVE-2025-66032, Backslash on Cursor 2025-07).
"""

NAME = "uncertain-command"
TITLE = "The program is not known before it runs"
ADVICE = "Write the program's name out."
EXAMPLE = "x=curl; $x example.org"
HARMLESS = 'x=curl; echo "$x"'
