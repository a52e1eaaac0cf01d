"""One reason to look twice at a change: what risks find, reviews show, and an approval is about."""

from ringfence.value import Struct


class Finding(Struct):
    """One reason to look twice at a change."""

    path: bytes
    risk: str
    why: str
    line: int = 0  # of the new file, or of the old one where lines are gone; 0: the file as a whole
    excerpt: str = ""  # the line, escaped
