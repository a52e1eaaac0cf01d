"""Where a redirection leads is known only when it runs, or leads into a home folder.

`> $x`, `> *.log`, `> ~/.bashrc`, `> "$(…)"`: the file that is written is not in the text (CVE-2026-45482
knew one spelling of the home folder, and missed the others).
"""

NAME = "redirect-target"
TITLE = "A redirection to a file that is not spelled out"
ADVICE = "Write the file's path out."
EXAMPLE = 'echo x > "$(cat name)"'
HARMLESS = "echo x > out.txt"
