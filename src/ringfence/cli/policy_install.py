"""`ringfence policy install`: put a signed policy in force for everybody on this machine.

The bytes that are checked, verified and written are the same bytes. A policy that was in force before does
not come back: each carries a serial, and what is installed under a name only goes up, signed by the same key.
"""

import os
import sys
import time

from ringfence.cli import options
from ringfence.errors import HostError, PolicyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ringfence.policy.read import Source
    from ringfence.policy.signature import Key

USAGE = "ringfence policy install FILE --key KEY [OPTION …]"
ABOUT = (
    "Check a signed policy and put it among the managed drop-ins. KEY is a minisign or ssh-ed25519 public\n"
    "key, or a file of such keys. The policy carries `[managed] serial = N`; N never goes down."
)
OPTIONS = (
    options.Option(name="--key", value="KEY", help="whose signature counts"),
    options.Option(name="--signature", value="FILE", help="default: FILE.minisig or FILE.sig"),
    options.Option(name="--name", value="NAME", help="of the drop-in; default: the file's"),
    options.Option(name="--new-key", help="take another key than the one that signed the policy before"),
)
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
_HINT = f"usage: {USAGE}"


def main(arguments: list[str]) -> int:
    """Verify, compare, write."""
    from ringfence.host import probe

    given = _given(arguments)
    if "--help" in given.switches:
        sys.stdout.write(options.help_text(USAGE, ABOUT, OPTIONS))
        return 0
    if len(given.rest) != 1 or not given.one("--key"):
        raise UsageError("one file and `--key`", hint=_HINT)
    path = given.rest[0]
    if "://" in path:
        raise UsageError("nothing is fetched here: fetch the policy and its signature first", hint=_HINT)
    source = _source(path)
    key = _signer(source, given.one("--signature"), given.one("--key"))
    serial = _serial(source)
    name = given.one("--name") or os.path.basename(path).rsplit(".", 1)[0].lower()
    if not name or not _NAME.issuperset(name):
        raise UsageError(f"{name!r} cannot name a drop-in: letters, digits, `-` and `_`", hint="--name NAME")
    folder = os.path.dirname(probe.host().managed_policy) + "/policy.d"
    _compare(folder, name, source, serial, key, new="--new-key" in given.switches)
    _install(folder, name, source, serial, key)
    print(f"in force: {folder}/{name}.toml, serial {serial}, signed by {key.fingerprint}")
    return 0


def _given(arguments: list[str]) -> options.Given:
    """Read options before and behind the file."""
    known = (*OPTIONS, options.Option(name="--help", help="this text"))
    first = options.read(arguments, known, USAGE)
    if len(first.rest) < 2:
        return first
    front = arguments[: len(arguments) - len(first.rest)]
    return options.read([*front, *first.rest[1:], "--", first.rest[0]], known, USAGE)


def _source(path: str) -> "Source":
    from ringfence.policy import read

    try:
        source = read.source(os.path.abspath(path), "named")
    except read.Failure as failure:
        raise PolicyError(failure.diagnostic.message, diagnostics=(failure.diagnostic,)) from None
    if source is None:
        raise PolicyError(f"there is no file {path}")
    return source


def _signer(source: "Source", named: str, key: str) -> "Key":
    from ringfence.policy import signature

    places = [named] if named else [f"{source.path}.minisig", f"{source.path}.sig"]
    for place in places:
        try:
            with open(place, "rb") as file:
                data = file.read(signature.LARGEST + 1)
        except FileNotFoundError:
            continue
        now = time.strftime("%Y%m%d%H%M%S", time.gmtime())
        try:
            return signature.verify(source.data, data, signature.keys_of(key), now=now)
        except signature.BadSignatureError as error:
            raise PolicyError(f"{place} proves nothing about {source.path}: {error}") from None
    raise UsageError(f"there is no signature {' or '.join(places)}", hint="--signature FILE")


def _serial(source: "Source") -> int:
    """Check the policy as the managed one that it will be; return its serial."""
    from ringfence.policy import load, read
    from ringfence.value import replace

    managed = replace(source, kind="managed")
    layer, problems = read.layer(managed, "")
    problems = (*problems, *load.unknown_presets(managed, layer))
    if problems:
        raise PolicyError("the policy cannot be used", diagnostics=tuple(problems))
    if not source.path.endswith(".toml"):
        raise UsageError("a managed policy is a TOML file", hint=_HINT)
    if "serial" not in layer:
        raise PolicyError(
            f"{source.path} has no serial: an older one could be put in its place",
            hint="[managed]\nserial = 1",
        )
    return int(layer["serial"])


def _compare(folder: str, name: str, source: "Source", serial: int, key: "Key", *, new: bool) -> None:
    """Refuse an older policy, another one of the same serial, and another signer."""
    before = _record(folder, name)
    if not before:
        return
    if serial < before["serial"] or (serial == before["serial"] and source.digest != before["digest"]):
        raise PolicyError(
            f"serial {serial} is not above {before['serial']}, which was in force under this name",
            hint="a policy that was taken back does not return: sign it anew with a higher serial",
        )
    if key.fingerprint != before["key"] and not new:
        raise PolicyError(
            f"{name} was signed by {before['key']} before, and now by {key.fingerprint}",
            hint="if that is meant: --new-key",
        )


def _record(folder: str, name: str) -> "dict[str, Any]":
    from ringfence import strict

    path = f"{folder}/.{name}.installed"
    try:
        with open(path, "rb") as file:
            found = strict.loads(file.read(1 << 16).decode("utf-8"))
        return {"serial": int(found["serial"]), "digest": str(found["digest"]), "key": str(found["key"])}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError):
        raise HostError(
            f"{path} is damaged: which serial was in force is not known", hint=f"read {path}"
        ) from None


def _install(folder: str, name: str, source: "Source", serial: int, key: "Key") -> None:
    """Write the record first: a crash in between leaves the older policy, and no way back beyond it."""
    from ringfence.canonical import encode

    told = encode({"serial": serial, "digest": source.digest, "key": key.fingerprint})
    try:
        os.makedirs(folder, 0o755, exist_ok=True)
        _write(f"{folder}/.{name}.installed", told.encode() + b"\n")
        _write(f"{folder}/{name}.toml", source.data)
    except OSError as error:
        raise HostError(
            f"{folder} cannot be written: {error.strerror}",
            hint="this takes the rights of the machine's owner",
        ) from None


def _write(path: str, data: bytes) -> None:
    mine = f"{path}.{os.getpid()}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(mine, flags, 0o644)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.rename(mine, path)
    except BaseException:
        os.unlink(mine)
        raise
