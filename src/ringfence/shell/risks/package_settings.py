"""A package manager is set up differently.

Settings of a package manager name programs and places (`npm config set script-shell`, hooks, `go
install`), and stay when the session is over.
"""

NAME = "package-settings"
TITLE = "A package manager is set up differently"
ADVICE = "Have a person change the settings."
EXAMPLE = "npm config set script-shell ./x"
HARMLESS = "npm run build"
