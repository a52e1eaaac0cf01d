"""What the operator is told of a session's gate when the session is over."""

import os

from ringfence.boundary.folder import Folder


def complaints(folder: Folder) -> str:
    """Return what the gate's process wrote on its standard error, such as a port that is taken."""
    path = f"{folder.path}/egress.log"
    with open(path, encoding="utf-8", errors="backslashreplace") as file:
        text = file.read(1 << 16).strip()
    if not text:
        os.unlink(path)
    return text


def refusals(folder: Folder) -> str:
    """Return how many requests were refused, and where that can be read; or nothing."""
    with open(folder.log, "rb") as log:
        count = sum(b'"effect":"deny"' in line or b'"answer":"deny"' in line for line in log)
    if not count:
        return ""
    what = "request was" if count == 1 else "requests were"
    return f"ringfence: {count} {what} refused; see `ringfence log {folder.id} --verdict deny`"
