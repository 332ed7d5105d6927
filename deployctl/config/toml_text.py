"""Opens a config file with care: no link, no device, limited size, not writable by others, UTF-8 only. Errors name the
position, never the content."""

from __future__ import annotations

import errno
import os
import re
import stat

from deployctl.effects.linux.file_trust import require_believed
from deployctl.errors import DeployctlError, Invalid, NotFound, NotPermitted
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_FILE_BYTES = 1_000_000  # bytes

# tomllib's message is repeated only if it cannot contain a piece of the file.
_PLAIN = ("Invalid value", "Invalid statement", "Unterminated string", "Unclosed array", "Unclosed inline table",
          "Cannot overwrite a value", "Invalid date or datetime", "Invalid initial character for a key part",
          "Expected '=' after a key in a key/value pair", "Expected newline or end of document after a statement",
          "Expected ']' at the end of a table declaration")


def where(path: Path) -> str:
    """Return the file's name for messages: `config/shop.toml`."""
    return f"{path.parent.name}/{path.name}"


def read_text(path: Path) -> str:
    """Return the text of a config file. Raises NotFound if there is none, Untrusted if others may write to it."""
    data = _read(path)
    if len(data) > MAX_FILE_BYTES:
        raise Invalid(f"{where(path)} is larger than 1 MB.", remedy=["Config files are a few kilobytes."])
    if data.startswith(b"\xef\xbb\xbf"):
        raise Invalid(f"{where(path)} starts with a byte order mark.", remedy=[f"Save {path} as UTF-8 without BOM."])
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Invalid(f"{where(path)}:{line}: not valid UTF-8.", remedy=[f"Save {path} as UTF-8."]) from None


def _read(path: Path) -> bytes:
    try:
        # Opening a FIFO would block until there is a writer; O_NONBLOCK lets fstat detect it instead.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Invalid(f"{where(path)} is not a file.", remedy=[f"ls -l {path}"])
        require_believed(path, handle)
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(handle)


def _unreadable(path: Path, error: OSError) -> DeployctlError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"{where(path)} does not exist.", remedy=[f"ls {path.parent}"])
    if error.errno == errno.ELOOP:
        return Invalid(f"{where(path)} is a symbolic link; config files must be regular files.", remedy=[f"ls -l {path}"])
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotPermitted(f"{where(path)} is not readable by this user.", remedy=[f"ls -l {path}"])
    return DeployctlError(f"{where(path)} cannot be read: {error.strerror}.", remedy=[f"ls -l {path}"])


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """Return the tables of the file, or raise Invalid with file, line and column."""
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError:
        raise Invalid(f"{where(path)} is nested too deeply.", remedy=[f"Edit {path}"]) from None
    except ValueError as error:  # TOMLDecodeError, or a number with thousands of digits
        raise _syntax_error(str(error), text, path) from None


def _syntax_error(message: str, text: str, path: Path) -> Invalid:
    found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if found is None:
        return Invalid(f"{where(path)}: a number is too long.", remedy=[f"Edit {path}"])
    line, column = _place(found, text)
    reason = message[: found.start()]
    why = f"{_reason(reason)}." if _reason(reason) else "not valid TOML."
    return Invalid(f"{where(path)}:{line}:{column}: {why}", remedy=[f"Edit {path}"])


def _place(found: re.Match[str], text: str) -> tuple[int, int]:
    if found[1]:
        return int(found[1]), int(found[2])
    lines = text.splitlines() or [""]
    return len(lines), len(lines[-1]) + 1


def _reason(message: str) -> str | None:
    if re.match(r"Cannot (declare|redefine|mutate)|Duplicate inline table key", message):
        return "this key or table is given twice"
    plain = next((one for one in _PLAIN if message == one), None)
    return "a value is given twice" if plain == "Cannot overwrite a value" else plain and plain[0].lower() + plain[1:]
