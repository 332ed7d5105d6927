"""Hashes made without OpenSSL are those of the standard library."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from deployctl.digest import hmac_sha256, sha256

MESSAGES = (b"", b"shop\0" + b"7", "Größe ✓".encode(), bytes(range(256)) * 40)


@pytest.mark.parametrize("message", MESSAGES, ids=len)
def test_the_hash_is_the_librarys(message: bytes) -> None:
    assert sha256(message).hexdigest() == hashlib.sha256(message).hexdigest()
    assert sha256(message).digest() == hashlib.sha256(message).digest()


@pytest.mark.parametrize("message", MESSAGES, ids=len)
@pytest.mark.parametrize("length", [0, 1, 32, 63, 64, 65, 200])
def test_the_keyed_hash_is_the_librarys_for_keys_of_any_length(length: int, message: bytes) -> None:
    key = bytes((7 * number + length) % 256 for number in range(length))
    assert hmac_sha256(key, message) == hmac.new(key, message, "sha256").hexdigest()
