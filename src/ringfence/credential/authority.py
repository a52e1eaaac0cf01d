"""The session's certificate authority as the launcher handles it: files and renames, no cryptography.

Authorities are minted ahead of time (`egress.mint`). A session takes one by renaming its folder into
its own: of several that try, the kernel lets one win. What is claimed is judged *after* the rename,
when nobody else can take it, and removed when it is too old, incomplete, open to others, or made from
a system bundle that has changed since.

The private key stays in the session's folder on the host. Only the public files are ever mounted.
"""

import os
import stat
import time

from ringfence.errors import HostError
from ringfence.value import Struct

FILES = ("ca.key", "ca.pem", "bundle.pem", "truststore.jks", "system.txt")
MAX_AGE = 20 * 86400.0  # seconds; certificates last 30 days, so a session has ten at least
MAX_TRIED = 32  # folders looked at before giving up

# The files that programs without any variable read, beside what `host` finds: see `mount_points`.
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
KEYSTORES = (
    "/etc/ssl/certs/java/cacerts",
    "/etc/pki/ca-trust/extracted/java/cacerts",
    "/etc/pki/java/cacerts",
    "/var/lib/ca-certificates/java-cacerts",  # SUSE
)


class Authority(Struct):
    """One session's authority: where its files are on the host."""

    folder: str

    @property
    def certificate(self) -> str:
        """The authority alone, PEM."""
        return f"{self.folder}/ca.pem"

    @property
    def bundle(self) -> str:
        """The system's authorities and ours, PEM."""
        return f"{self.folder}/bundle.pem"

    @property
    def keystore(self) -> str:
        """The same as a Java keystore."""
        return f"{self.folder}/truststore.jks"


class TrustPaths(Struct):
    """Where the public files stand inside the boundary."""

    certificate: str
    bundle: str
    keystore: str


def claim(ready_dir: str, session_dir: str) -> Authority | None:
    """Take a ready authority for this session, or return None where there is none."""
    _check_owner(ready_dir)
    taken = f"{session_dir}/authority"
    for name in _candidates(ready_dir):
        try:
            os.rename(f"{ready_dir}/{name}", taken)
        except FileNotFoundError:
            continue  # another session was faster
        if _usable(taken):
            return Authority(folder=taken)
        discard(Authority(folder=taken))
    return None


def give_back(authority: Authority, ready_dir: str) -> None:
    """Put back an authority whose key was never used: no egress process was started for it.

    One that is no longer whole (the egress process takes the key off the disk) is removed instead.
    """
    if not _usable(authority.folder):
        return discard(authority)
    name = os.urandom(8).hex()
    return os.rename(authority.folder, f"{ready_dir}/{name}")


def discard(authority: Authority) -> None:
    """Remove an authority. The key goes first."""
    for name in FILES:
        _unlink(f"{authority.folder}/{name}")
    try:
        os.rmdir(authority.folder)
    except FileNotFoundError:
        return
    except OSError:
        _remove_tree(authority.folder)


def _candidates(ready_dir: str) -> list[str]:
    try:
        names = os.listdir(ready_dir)
    except FileNotFoundError:
        return []
    return sorted(name for name in names if not name.startswith("."))[:MAX_TRIED]


def _check_owner(ready_dir: str) -> None:
    """Refuse a pool that others can put authorities into: they would know the key."""
    try:
        state = os.lstat(ready_dir)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o022:
        raise HostError(
            f"{ready_dir!r} is not a folder that only you can write: no authority can be kept there",
            hint="remove it, and see who created it; ringfence makes it anew",
        )


def _usable(folder: str) -> bool:
    """Tell whether everything in a claimed folder is ours, whole, recent, and fits this system."""
    try:
        return (
            _is_ours(os.lstat(folder), stat.S_IFDIR, 0o077)
            and _is_ours(os.lstat(f"{folder}/ca.key"), stat.S_IFREG, 0o077)
            and all(_is_ours(os.lstat(f"{folder}/{name}"), stat.S_IFREG, 0o022) for name in FILES)
            and abs(time.time() - os.lstat(f"{folder}/ca.key").st_mtime) <= MAX_AGE
            and _is_current(f"{folder}/system.txt")
        )
    except (OSError, ValueError):
        return False


def _is_ours(state: os.stat_result, kind: int, forbidden: int) -> bool:
    right_kind = stat.S_IFMT(state.st_mode) == kind
    size = kind == stat.S_IFDIR or state.st_size > 0
    return right_kind and size and state.st_uid == os.geteuid() and not state.st_mode & forbidden


def _is_current(stamp: str) -> bool:
    """Tell whether the system's bundle is still the one that ours was made from."""
    fd = os.open(stamp, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        path, size, changed = os.read(fd, 4096).decode().splitlines()
    finally:
        os.close(fd)
    state = os.stat(path)
    return (state.st_size, state.st_mtime_ns) == (int(size), int(changed))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return


def _remove_tree(path: str) -> None:
    """Remove what does not look like an authority at all, whatever it is, following no link."""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        return os.unlink(path)
    for name in os.listdir(path):
        _remove_tree(f"{path}/{name}")
    return os.rmdir(path)


def mount_points(java_programs: tuple[str, ...] = ()) -> tuple[tuple[str, str], ...]:
    """Return (path, "bundle" or "keystore") for every existing file that ours are to be mounted over.

    Links are followed, each file once: a bind over a link would need its target anyway. A JVM's own
    keystore is found from its `java` program.
    """
    found: dict[str, str] = {}
    for path in BUNDLES:
        _note(found, path, "bundle")
    for path in (*KEYSTORES, *(one for program in java_programs for one in _keystores_of(program))):
        _note(found, path, "keystore")
    return tuple(sorted(found.items()))


def _note(found: dict[str, str], path: str, kind: str) -> None:
    if os.path.isfile(path):
        found.setdefault(os.path.realpath(path), kind)


def _keystores_of(program: str) -> tuple[str, ...]:
    home = os.path.dirname(os.path.dirname(os.path.realpath(program)))
    return (f"{home}/lib/security/cacerts", f"{home}/jre/lib/security/cacerts")


# Variables that replace what a runtime trusts: they get the whole bundle.
_REPLACING = (
    "SSL_CERT_FILE",  # OpenSSL's defaults: Python, Ruby, PHP, Perl, wget; Go; rustls (uv); .NET
    "CURL_CA_BUNDLE",  # curl; requests
    "GIT_SSL_CAINFO",  # git
    "REQUESTS_CA_BUNDLE",  # requests, and with it az, conda, many more
    "PIP_CERT",  # pip, also before it used truststore
    "CARGO_HTTP_CAINFO",  # cargo
    "AWS_CA_BUNDLE",  # aws, boto3
    "NIX_SSL_CERT_FILE",  # nix, and programs built by it
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",  # gRPC's C core, below Python, Ruby, PHP, C++
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",  # gcloud
    "BUNDLE_SSL_CA_CERT",  # bundler
    "HTTPLIB2_CA_CERTS",  # httplib2, below older Google clients
    "JULIA_SSL_CA_ROOTS_PATH",  # Julia
    "HEX_CACERTS_PATH",  # hex, mix
    "PERL_LWP_SSL_CA_FILE",  # Perl's LWP
    "YARN_HTTPS_CA_FILE_PATH",  # yarn 2 and later
)
# Variables that add to it: they get our certificate alone.
_ADDING = (
    "NODE_EXTRA_CA_CERTS",  # node, bun, and all written for them
    "DENO_CERT",  # deno
)


def inside_environment(paths: TrustPaths, *, java_option: bool = False) -> tuple[tuple[str, str], ...]:
    """Return the variables that make common runtimes trust the session's authority.

    `java_option` is for a boundary where no JVM's own keystore could be mounted over: the JVM prints
    a line on standard error for it, each time.
    """
    replacing = [(name, paths.bundle) for name in _REPLACING]
    adding = [(name, paths.certificate) for name in _ADDING]
    java = [("JAVA_TOOL_OPTIONS", f"-Djavax.net.ssl.trustStore={paths.keystore}")] if java_option else []
    return tuple(sorted((*replacing, *adding, *java)))
