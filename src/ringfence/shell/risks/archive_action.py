"""Packing or unpacking runs something.

Archivers run programs along the way (`tar --checkpoint-action`, `zip -T`) or write where the archive says
(`tar -P`, `unzip -:`).
"""

NAME = "archive-action"
TITLE = "Packing or unpacking runs something"
ADVICE = "Leave the option out."
EXAMPLE = "tar cf x.tar src --checkpoint-action=exec=./x"
HARMLESS = "tar cf x.tar src"
