"""A shell or an interpreter runs what it reads from a pipe, a file or a here-document.

`curl … | sh`, `base64 -d | bash`, `python3 < script`: what runs is not in the text (Backslash on Cursor,
2025-07).
"""

NAME = "piped-code"
TITLE = "Code that comes through a pipe"
ADVICE = "Save it to a file, look at it, and run the file."
EXAMPLE = "base64 -d code | bash"
HARMLESS = "base64 -d code | wc -c"
