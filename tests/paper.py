"""A file system on paper: links and folders as a dictionary says."""


class Files:
    """Answers what `host.files` answers. A value is a link's target, or None for a file."""

    def __init__(self, entries=(), *, case_blind=False):
        self.entries = dict(entries)
        self.case_blind = case_blind

    def link(self, path):
        return self.entries.get(path)

    def is_folder(self, path):
        return bool(self.names(path, len(self.entries)))

    def names(self, folder, limit):
        front = "/".join(["", *[part for part in folder.split("/") if part not in {"", "."}], ""])
        found = {}
        for name in self.entries:
            if name.startswith(front):
                first, slash, _ = name[len(front) :].partition("/")
                found[first] = bool(slash) or found.get(first, False)
        return None if len(found) > limit else tuple(sorted(found.items()))
