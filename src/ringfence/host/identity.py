"""Who the operator is to git: name and address for commits made inside, and nothing else.

The operator's git configuration may hold credential helpers, tokens in URLs and commands, so it
stays outside; these two values are read from it.
"""


def git_user(home: str) -> tuple[str, str]:
    """Return (name, email) as ~/.gitconfig or $XDG's git/config says, "" where it does not."""
    name = email = ""
    for file in (f"{home}/.config/git/config", f"{home}/.gitconfig"):
        found = _read_user(file)
        name, email = found.get("name", name), found.get("email", email)
    return name, email


def _read_user(file: str) -> dict[str, str]:
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            text = lines.read(1 << 18)
    except OSError:
        return {}
    values: dict[str, str] = {}
    inside = False
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("["):
            inside = line.lower().startswith("[user]")
        elif inside and "=" in line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            clean = value.strip().strip('"')
            if clean.isprintable() and "\\" not in clean:
                values[key.strip().lower()] = clean
    return values
