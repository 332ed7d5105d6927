"""SHA-256 and HMAC-SHA-256 of short texts without OpenSSL: `hashlib` and `hmac` load libcrypto, which takes 3 ms of each
command and is faster only for megabytes. Whole files are summed with `hashlib`.
"""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256 as sha256
else:  # Python's own, which `hashlib` falls back to and `random` begins with; 3.12 renamed it
    try:
        sha256 = import_module("_sha2" if sys.version_info >= (3, 12) else "_sha256").sha256
    except ImportError:  # a Python that was built without it
        from hashlib import sha256

_BLOCK_BYTES = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))  # RFC 2104


def hmac_sha256(key: bytes, message: bytes) -> str:
    """Return the keyed hash as 64 hex characters."""
    if len(key) > _BLOCK_BYTES:
        key = sha256(key).digest()
    key = key.ljust(_BLOCK_BYTES, b"\0")
    inner = sha256(key.translate(_INNER) + message).digest()
    return sha256(key.translate(_OUTER) + inner).hexdigest()
