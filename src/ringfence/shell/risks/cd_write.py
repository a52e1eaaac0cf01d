"""A relative path is written after a change of folder that leaves the working directory or cannot be proven.

`cd .. && echo x > settings.json` writes where a check of `settings.json` never looked (CVE-2026-25722).
"""

NAME = "cd-write"
TITLE = "A write after leaving the working directory"
ADVICE = "Write the absolute path, without cd."
EXAMPLE = "cd .. && echo x > notes.txt"
HARMLESS = "cd src && echo x > notes.txt"
