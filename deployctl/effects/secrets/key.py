"""The key file: an age identity as `age-keygen` writes it, readable by its owner only."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from threading import get_ident

from deployctl.dataclass import dataclass
from deployctl.digest import hmac_sha256
from deployctl.errors import AttentionNeeded, DeployctlError, NotPermitted
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MARK = "AGE-SECRET-KEY-1"
ID_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One identity. It never appears in a text of an error or of a log."""

    text: str

    def __repr__(self) -> str:
        return "SecretKey(***)"

    def encrypt(self, value: bytes) -> str:
        """Return it in age's armour. Two of the same value differ, also in length."""
        age, own = _age(), self._identity()
        return bytes(age.encrypt(value, [own.to_public()], armored=True)).decode("ascii")

    def decrypt(self, armoured: bytes, *, what: str) -> bytes:
        """Raises a failure that names `what` and never its contents."""
        age, own = _age(), self._identity()
        try:
            return bytes(age.decrypt(armoured, [own]))
        except age.DecryptError as e:
            raise DeployctlError(f"{what} cannot be decrypted: {e}", code="secret_unreadable",
                                 remedy=["restore the key file or the value from a backup",
                                         "or set the secret again: deployctl secret set APP NAME"]) from None

    def id_of(self, app: str, name: str, value: bytes) -> str:
        """Return what only equal values of a secret have in common. Without the key no value can be guessed by it."""
        key = bytes.fromhex(hmac_sha256(self.text.encode(), b"deployctl: ids of values"))
        return hmac_sha256(key, f"{app}\0{name}\0".encode() + value)[:ID_CHARACTERS]

    def _identity(self) -> Any:
        return _age().x25519.Identity.from_str(self.text)


def read_key(path: Path) -> SecretKey:
    """Raises AttentionNeeded if there is none, NotPermitted if others can read it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise missing_key(path) from None
    except OSError as e:
        raise NotPermitted(f"the key file {path} cannot be read: {e.strerror}", remedy=[f"ls -l {path}"]) from None
    with os.fdopen(handle, encoding="utf-8", errors="replace") as file:
        if why := fault_of(os.fstat(handle)):
            raise NotPermitted(f"the key file {path} {why}. No secret is read with it.", code="secret_key_exposed",
                               remedy=[f"chown {os.geteuid()} {path}", f"chmod 600 {path}"])
        lines = [line.strip() for line in file]
    found = next((line for line in lines if line.startswith(_MARK)), None)
    if found is None or not _is_valid(found):
        raise DeployctlError(f"{path} is not an age key file", code="secret_unreadable",
                             remedy=["restore it from a backup"])
    return SecretKey(found)


def fault_of(found: os.stat_result) -> str | None:
    """Return why a key file cannot be trusted; None if only its owner can read it."""
    if not stat.S_ISREG(found.st_mode):
        return "is not a file"
    if found.st_uid not in {os.geteuid(), 0}:
        return f"belongs to another user (uid {found.st_uid})"
    if found.st_mode & 0o077:
        return f"can be read by others (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def missing_key(path: Path) -> AttentionNeeded:
    return AttentionNeeded(f"the key file {path} is missing, so the secrets of this home cannot be read",
                           code="secret_key_missing",
                           remedy=[f"copy it from where the home was: install -m 600 KEYFILE {path}",
                                   f"or, if it is lost: mv {path.parent}/secrets {path.parent}/secrets.lost, "
                                   "then deployctl secret set APP NAME for each"])


def make_key(path: Path, *, at: str) -> SecretKey:
    """Create the key file, unless another process was faster, and return what is in it."""
    own = _age().x25519.Identity.generate()
    text = f"# created: {at} by deployctl; back it up apart from state/secrets\n# public key: {own.to_public()}\n{own}\n"
    part = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(part, path)  # unlike a rename it replaces nothing
    except OSError as e:
        raise NotPermitted(f"the key file {path} cannot be created: {e.strerror}", remedy=[f"ls -ld {path.parent}"]) from None
    finally:
        part.unlink(missing_ok=True)
    return read_key(path)


def _is_valid(text: str) -> bool:
    age = _age()
    try:
        age.x25519.Identity.from_str(text)
    except age.IdentityError:
        return False
    return True


def _age() -> Any:
    import pyrage  # only for homes with secrets

    return pyrage
