"""A release spec as a label of its container, so that a lost ledger can be rebuilt from the engine.

Env values are left out: labels are shown by `docker ps`, appear in engine events and are exported by monitoring; env is
not. Only the names are stored, the values are read from the container itself. The mark is a keyed hash over the whole
spec, values included, and over the capabilities that the release drops: it proves that the reassembled spec is exactly
the original.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from deployctl.domain.images.component import Component
from deployctl.domain.images.release import Bundle
from deployctl.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName, ComponentName

BUNDLE = "deployctl.bundle"
MARK_LABEL = "deployctl.bundle-mark"
RELATIONS = "deployctl.relations"  # of an app with several components: its place among them, and what it needs
CAP_DROP = "deployctl.cap-drop"  # comma-separated names


def bundle_labels(secret: bytes, release: Release, one: InstanceId) -> dict[str, str]:
    drop = {CAP_DROP: ",".join(release.cap_drop)} if release.cap_drop else {}
    component, relations = release.component(one.component), {}
    if not release.is_plain:
        place = [release.components.index(component), len(release.components)]
        told = {**component.relations(), "place": place}
        relations[RELATIONS] = json.dumps(told, sort_keys=True, separators=(",", ":"))
    mark = _mark(secret, release.app, component.bundle, release.cap_drop, relations.get(RELATIONS, ""))
    return {BUNDLE: _packed(component.bundle), MARK_LABEL: mark, **drop, **relations}


def read_component(labels: Mapping[str, str], name: ComponentName, bundle: Bundle) -> tuple[Component, int, int]:
    """Return the component that a container is of, its place in the release, and how many the release has. Raises Invalid."""
    if RELATIONS not in labels:
        return Component(bundle, name), 0, 1
    try:
        raw = json.loads(labels[RELATIONS])
        place, count = raw["place"]
        return Component.from_relations(raw, bundle), int(place), int(count)
    except (KeyError, ValueError, TypeError) as e:
        raise Invalid(f"its label {RELATIONS} is unreadable ({type(e).__name__})") from e


def read_cap_drop(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return the capabilities that the release drops; none if it was created before any were."""
    return tuple(filter(None, labels.get(CAP_DROP, "").split(",")))


def read_bundle(labels: Mapping[str, str], env: Mapping[str, str]) -> Bundle:
    """Return the release spec in the labels, with the values of the container's env. Raises Invalid."""
    import zlib
    from base64 import b64decode

    try:
        text = zlib.decompress(b64decode(labels[BUNDLE])).decode()
        raw = json.loads(text)
        raw["env"] = [[name, env[name]] for name in raw["env"]]
        return Bundle.from_canonical(json.dumps(raw))
    except (KeyError, ValueError, TypeError, zlib.error) as e:
        raise Invalid(f"its label {BUNDLE} is unreadable ({type(e).__name__})") from e


def is_exact(secret: bytes, app: AppName, labels: Mapping[str, str], bundle: Bundle) -> bool:
    """Return whether it is exactly the spec that the container was created from, with the capabilities of its label
    dropped."""
    import hmac

    mark = _mark(secret, app, bundle, read_cap_drop(labels), labels.get(RELATIONS, ""))
    return hmac.compare_digest(labels.get(MARK_LABEL, ""), mark)


def _packed(bundle: Bundle) -> str:
    import zlib
    from base64 import b64encode

    raw = json.loads(bundle.canonical())
    raw["env"] = [name for name, _ in bundle.env]
    return b64encode(zlib.compress(json.dumps(raw, sort_keys=True, separators=(",", ":")).encode())).decode()


def _mark(secret: bytes, app: AppName, bundle: Bundle, cap_drop: tuple[str, ...], relations: str) -> str:
    import hmac

    payload = "\0".join([app, bundle.canonical(), *cap_drop, *filter(None, [relations])])
    return hmac.new(secret, payload.encode(), "sha256").hexdigest()
