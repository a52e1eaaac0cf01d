"""Something is to run later.

`at`, `crontab`, services: what is entered there runs later, when nobody looks and no rule holds.
"""

NAME = "scheduler"
TITLE = "Something is to run later"
ADVICE = "Run it now, or have a person enter it."
EXAMPLE = "crontab jobs"
HARMLESS = "crontab -l"
