"""A dangerous program has an option that is not known.

Programs whose options are dangerous are known with all of them. One that is not known here may be new, and do
anything.
"""

NAME = "unknown-option"
TITLE = "A dangerous program has an option that is not known"
ADVICE = "Use the options of the manual, written out."
EXAMPLE = "sed --frobnicate p f"
HARMLESS = "sed -n p f"
