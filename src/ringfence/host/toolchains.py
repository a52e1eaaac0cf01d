"""The toolchains on the operator's PATH: which folders outside the system's own must be visible.

Only the operator's PATH and fixed places under the home folder decide, never the workspace: a
cloned repository could otherwise name ~/.ssh as its toolchain.
"""

import os

from ringfence.value import Struct

# PATH folder under ~ -> what must be visible for its programs to run, under ~
_KNOWN = {
    ".pyenv/shims": (".pyenv",),
    ".pyenv/bin": (".pyenv",),
    ".cargo/bin": (".cargo/bin", ".rustup"),
    ".local/bin": (".local/bin", ".local/share/uv/python", ".local/share/uv/tools", ".local/share/pipx",
                   ".local/share/claude", ".local/lib"),
    ".bun/bin": (".bun/bin", ".bun/install/global"),
    ".deno/bin": (".deno/bin",),
    ".volta/bin": (".volta/bin", ".volta/tools"),
    ".asdf/shims": (".asdf",),
    ".rbenv/shims": (".rbenv",),
    ".nodenv/shims": (".nodenv",),
    ".local/share/mise/shims": (".local/share/mise",),
    "go/bin": ("go/bin",),
    ".dotnet/tools": (".dotnet",),
    ".poetry/bin": (".poetry",),
    "bin": ("bin",),
}  # fmt: skip
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store")
_NEVER_A_PREFIX = ("", "/", "/home", "/root", "/tmp", "/var", "/etc", "/run", "/mnt", "/media", "/srv")  # noqa: S108


class Toolchain(Struct):
    """One folder that is made visible, read-only."""

    path: str
    why: str
    installed: bool = False  # by a version manager, in a place of its own: no files of the user's lie there


def find(path: tuple[str, ...], home: str) -> tuple[Toolchain, ...]:
    """Return the folders that PATH's programs need and that exist, outermost only."""
    wanted: dict[str, str] = {}
    managed: set[str] = set()
    for entry in path:
        if not entry.startswith("/") or _below(entry, SYSTEM):
            continue
        known, needed = _needed(os.path.normpath(entry), home)
        for folder in needed:
            if folder not in wanted and os.path.isdir(folder):
                wanted[folder] = f"{entry} is on PATH"
                managed.update((folder,) if known else ())
    folders = tuple(wanted)
    return tuple(
        Toolchain(path=folder, why=wanted[folder], installed=folder in managed)
        for folder in folders
        if not _below(folder, tuple(other for other in folders if other != folder))
    )


def of_command(command: str, visible: tuple[str, ...], home: str) -> Toolchain | None:
    """Return the folder that the command to run needs beside the `visible` ones: where its file really is.

    A command is often a link into a package; a package's other files are needed with it. Of a folder
    that holds everything else too, such as /tmp or the home folder, only the file itself is shown.
    """
    real = os.path.realpath(command)
    if not command.startswith("/") or not os.path.isfile(real) or _below(real, (*SYSTEM, *visible)):
        return None
    before, mark, _after = real.partition("/node_modules/")
    folder = f"{before}/node_modules" if mark else os.path.dirname(real)
    why = f"{os.path.basename(command)} lies there"
    return Toolchain(path=real if _holds_everything(folder, home) else folder, why=why, installed=bool(mark))


def _holds_everything(folder: str, home: str) -> bool:
    if folder.count("/") < 2 or folder in _NEVER_A_PREFIX or f"{home}/".startswith(f"{folder}/"):
        return True
    return bool(os.stat(folder).st_mode & 0o1002)  # sticky, or open to everybody


def visible_path(path: tuple[str, ...], visible: tuple[str, ...]) -> tuple[str, ...]:
    """Return the PATH entries that exist inside, in order and once each; the system's own come last."""
    entries = [entry for entry in path if entry.startswith("/") and _below(entry, visible)]
    usual = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
    return tuple(dict.fromkeys((*entries, *usual)))


def _needed(entry: str, home: str) -> tuple[bool, tuple[str, ...]]:
    """Return whether a version manager keeps this PATH entry, and the folders that its programs need."""
    if home and entry.startswith(home + "/"):
        inner = entry[len(home) + 1 :]
        if inner in _KNOWN:
            return inner not in {"bin", ".local/bin"}, tuple(f"{home}/{folder}" for folder in _KNOWN[inner])
    for inner, folders in _KNOWN.items():  # a version manager of another home, such as root's
        if inner.startswith(".") and inner != ".local/bin" and entry.endswith(f"/{inner}"):
            base = entry[: -len(inner) - 1]
            return True, tuple(f"{base}/{folder}" for folder in folders)
    prefix, last = os.path.split(entry)
    if entry.endswith("/node_modules/.bin"):
        return True, (prefix,)
    if last in {"bin", "sbin", "shims"} and prefix not in {*_NEVER_A_PREFIX, home, f"{home}/.local"}:
        return False, (prefix,)
    return False, (entry,)


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)
