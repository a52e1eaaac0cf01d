"""`${x@P}` expands a value as a prompt, and prompts can hold commands (CVE-2025-66032, CVE-2026-44462)."""

NAME = "transform"
TITLE = "A value that is expanded again"
ADVICE = "Leave `@P` out."
EXAMPLE = "echo ${x@P}"
HARMLESS = "echo ${x@Q}"
