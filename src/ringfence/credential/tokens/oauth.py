"""OAuth 2 (RFC 6749): client credentials (§4.4) and refresh tokens (§6).

The source holds the client's secret, or the refresh token, bare; or JSON with `client_id`,
`client_secret` and `refresh_token`. An issuer may rotate the refresh token at each use and take a second
use of the old one for a theft. So one refresh runs at a time, on this machine too: a file is locked,
read, used and replaced as one step. Where the source is no file, the new refresh token is kept in memory
and that is told.
"""

import base64
import contextlib
import fcntl
import json
import os
import time
from urllib.parse import quote, urlencode

from ringfence.canonical import sha256
from ringfence.credential.secret import Secret, SourceError
from ringfence.credential.sources import Access, path_of, read, wrap
from ringfence.credential.tokens import AGENT, Token, given, life
from ringfence.policy.model import Credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

REFRESH = "refresh_token"
LOCK_TIME = 20.0  # seconds to wait for another session's refresh


def mint(credential: Credential, access: Access) -> Token:
    """Have an access token issued; keep the refresh token that replaces the one that was used."""
    path = path_of(credential, access) if credential.grant == REFRESH else ""
    with _locked(path, credential):
        held = _Held(credential, wrap(credential, read(credential, access)), access)
        answer = access.web.ask(
            "POST", credential.token_url, headers=held.headers(), body=urlencode(held.form()).encode()
        )
        if answer.status != 200:
            raise SourceError(
                f"{credential.token_url} issued no token: {answer.why()}",
                hint="sign in again and store the new refresh token"
                if credential.grant == REFRESH
                else "check the client's id, secret and scopes",
            )
        found = answer.json(credential.token_url)
        token = Secret(given(found, "access_token", credential.token_url), credential.token_url)
        fresh = found.get("refresh_token")
        if credential.grant == REFRESH and isinstance(fresh, str) and fresh and fresh != held.refresh:
            held.keep(fresh, path)
        return Token(token, life(found), held.secrets(fresh if isinstance(fresh, str) else ""))


class _Held:
    """What a source holds about one client."""

    def __init__(self, credential: Credential, secret: Secret, access: Access) -> None:
        self._credential = credential
        self._access = access
        self._text = secret.reveal_for_injection().strip()
        self._data = _object(self._text)
        bare = "" if self._text.startswith("{") else self._text
        refreshing = credential.grant == REFRESH
        self._id = credential.client_id or self._part("client_id")
        self._secret = self._part("client_secret") or ("" if refreshing else bare)
        kept = access.rotated.get(credential.name)
        mark = sha256(self._text.encode())
        rotated = kept[1] if kept is not None and kept[0] == mark else ""
        self.refresh = (rotated or self._part("refresh_token") or bare) if refreshing else ""
        self._check(refreshing=refreshing)

    def _part(self, name: str) -> str:
        value = self._data.get(name)
        return value if isinstance(value, str) else ""

    def _check(self, *, refreshing: bool) -> None:
        one = self._credential
        missing = "refresh_token" if refreshing and not self.refresh else ""
        if not refreshing and not self._secret:
            missing = "client_secret"
        if not self._id:
            missing = "client_id"
        if missing:
            raise SourceError(
                f"`{one.source}` holds no `{missing}` for credential {one.name}",
                hint=f"store JSON with `{missing}`"
                + (", or set it in the policy" * (missing == "client_id")),
            )

    def form(self) -> dict[str, str]:
        """Return the fields of the request to the token endpoint."""
        one = self._credential
        fields = {"grant_type": one.grant}
        if self.refresh:
            fields["refresh_token"] = self.refresh
        if one.scopes:
            fields["scope"] = " ".join(one.scopes)
        if one.audience:
            fields["audience"] = one.audience
        if not self._by_header():
            fields["client_id"] = self._id
            if self._secret and one.client_auth != "none":
                fields["client_secret"] = self._secret
        return fields

    def headers(self) -> dict[str, str]:
        """Return the request's headers."""
        fields = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            "User-Agent": AGENT,
        }
        if self._by_header():  # RFC 6749 §2.3.1: each part is form-encoded first
            pair = f"{quote(self._id, safe='')}:{quote(self._secret, safe='')}"
            fields["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return fields

    def _by_header(self) -> bool:
        return self._credential.client_auth == "basic" and bool(self._secret)

    def keep(self, fresh: str, path: str) -> None:
        """Keep a new refresh token: in the file it came from, else in memory."""
        Secret(fresh, self._credential.token_url)  # refused if it is nothing that could be stored
        if path and self._credential.source.startswith("file:"):
            text = json.dumps({**self._data, "refresh_token": fresh}, indent=2) if self._data else fresh
            with contextlib.suppress(OSError):  # told below: the issuer takes the old one no more
                return _replace(path, text)
        self._access.rotated[self._credential.name] = (sha256(self._text.encode()), fresh)
        self._access.note(
            f"credential {self._credential.name}: the refresh token was rotated and cannot be written back "
            f"to {self._credential.source.partition(':')[0]}: it is kept in memory and lost at the end"
        )
        return None

    def secrets(self, fresh: str) -> tuple[Secret, ...]:
        """Return all that must not come back in an answer."""
        source = self._credential.source
        found = dict.fromkeys(one for one in (self._secret, self.refresh, fresh) if one)
        return tuple(Secret(one, source) for one in found)


def _object(text: str) -> dict[str, object]:
    if text[:1] != "{":
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        raise SourceError("a source that begins with `{` is no JSON", hint="mend it") from None
    return found if isinstance(found, dict) else {}


@contextlib.contextmanager
def _locked(path: str, credential: Credential) -> "Iterator[None]":
    """Hold the lock on the folder of a file that is read, used and replaced as one step."""
    if not path or not credential.source.startswith("file:"):
        yield
        return
    try:
        fd = os.open(os.path.dirname(os.path.realpath(path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(
            f"`{credential.source}`: {error.strerror}", hint="create the file, or name another source"
        ) from None
    try:
        _wait(fd, credential)
        yield
    finally:
        os.close(fd)


def _wait(fd: int, credential: Credential) -> None:
    until = time.monotonic() + LOCK_TIME
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise SourceError(
                    f"`{credential.source}`: another session is refreshing it, for {LOCK_TIME:g} seconds",
                    hint="see what that session waits for",
                ) from None
            time.sleep(0.05)


def _replace(path: str, text: str) -> None:
    """Replace a file's content at once, with its owner and mode; a link stays a link."""
    place = os.path.realpath(path)
    state = os.stat(place)
    fresh = f"{place}.{os.getpid()}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.fchmod(fd, state.st_mode & 0o777)
            if (state.st_uid, state.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(fd, state.st_uid, state.st_gid)
            os.write(fd, text.encode() + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(fresh, place)
    except BaseException:
        os.unlink(fresh)
        raise
