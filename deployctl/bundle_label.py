"""A release's bundle as a label of its container, so that a lost ledger can be rebuilt from the engine.

The values of env stay out of it: labels are shown by `docker ps`, told in engine events and exported by monitoring;
env is not. Only the names are kept, the values are read from the container itself. The mark is a keyed hash over the
whole bundle, values included: it proves that what was put together again is exactly what was taken apart.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping

from deployctl.domain.names import AppName
from deployctl.domain.release import Bundle
from deployctl.errors import Invalid

BUNDLE = "deployctl.bundle"
MARK = "deployctl.bundle-mark"


def bundle_labels(secret: bytes, app: AppName, bundle: Bundle) -> dict[str, str]:
    return {BUNDLE: _packed(bundle), MARK: _mark(secret, app, bundle)}


def read_bundle(labels: Mapping[str, str], env: Mapping[str, str]) -> Bundle:
    """Return the bundle that the labels tell, with the values of the container's env. Raises Invalid."""
    import zlib
    from base64 import b64decode

    try:
        text = zlib.decompress(b64decode(labels[BUNDLE])).decode()
        raw = json.loads(text)
        raw["env"] = [[name, env[name]] for name in raw["env"]]
        return Bundle.from_canonical(json.dumps(raw))
    except (KeyError, ValueError, TypeError, zlib.error) as e:
        raise Invalid(f"its label {BUNDLE} cannot be read ({type(e).__name__})") from e


def is_exact(secret: bytes, app: AppName, labels: Mapping[str, str], bundle: Bundle) -> bool:
    """Tell whether it is the very bundle that the container was made from."""
    return hmac.compare_digest(labels.get(MARK, ""), _mark(secret, app, bundle))


def _packed(bundle: Bundle) -> str:
    import zlib
    from base64 import b64encode

    raw = json.loads(bundle.canonical())
    raw["env"] = [name for name, _ in bundle.env]
    return b64encode(zlib.compress(json.dumps(raw, sort_keys=True, separators=(",", ":")).encode())).decode()


def _mark(secret: bytes, app: AppName, bundle: Bundle) -> str:
    return hmac.new(secret, f"{app}\0{bundle.canonical()}".encode(), "sha256").hexdigest()
