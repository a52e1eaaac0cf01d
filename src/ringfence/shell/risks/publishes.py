"""Something is published, or keys are touched.

Packages, releases, keys: what is published cannot be taken back, and keys of an account are worth more than a
session.
"""

NAME = "publishes"
TITLE = "Something is published, or keys are touched"
ADVICE = "Have a person publish."
EXAMPLE = "npm publish"
HARMLESS = "npm pack"
