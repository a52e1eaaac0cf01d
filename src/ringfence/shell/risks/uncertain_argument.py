"""An argument is known only when it runs, and the program has options that do more than it seems.

What is substituted may begin with `-` or, outside of quotes, become several words: `find . $x` deletes where
`x` is `-delete`, `git log --format=$(…)` gets options that nobody wrote (gemini-cli's shell-safety tests).
"""

NAME = "uncertain-argument"
TITLE = "An argument is not known before it runs"
ADVICE = "Write the value out, or put it behind `--` in quotes where the program takes data."
EXAMPLE = "make $(cat targets)"
HARMLESS = 'echo "$(date)"'
