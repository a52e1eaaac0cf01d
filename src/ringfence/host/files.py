"""The file system as verdicts ask it: where links lead, and which names a folder holds.

Nothing is opened or followed here but by `readlink` and listing. Every answer is bounded; a folder that
cannot be listed, or holds too many names, is `None`: not known.
"""

import os
import sys


class Files:
    """The real one."""

    case_blind = sys.platform in {"darwin", "win32"}

    def link(self, path: str) -> str | None:
        """Return what a symbolic link says, or None where there is none."""
        try:
            return os.readlink(path)
        except (OSError, ValueError):
            return None

    def is_folder(self, path: str) -> bool:
        """Say whether a path is a folder, links followed."""
        try:
            return os.path.isdir(path)
        except ValueError:
            return False

    def names(self, folder: str, limit: int) -> tuple[tuple[str, bool], ...] | None:
        """Return each name in a folder and whether it is itself a folder; None where that is not known."""
        found: list[tuple[str, bool]] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if len(found) >= limit:
                        return None
                    found.append((entry.name, entry.is_dir(follow_symlinks=False)))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except (OSError, ValueError):
            return None
        return tuple(found)
