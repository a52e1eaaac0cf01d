"""A folder that much else depends on would go.

The root, what lies directly in it, home folders, the working directory and what holds it are never a
matter of rules; nor is a path that an empty variable turns into one of them: `rm -rf "$BUILD"/`.
"""

NAME = "critical-removal"
TITLE = "A folder that much else depends on would go"
ADVICE = "Name the folders below it, one by one."
EXAMPLE = "rm -rf ~"
HARMLESS = "rm -rf build"
