"""The key `secrets` of an app's file: names, or tables that say more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from deployctl.domain.images.secret import FOLDER, READ_BY_OWNER, SecretRef, parse_secret
from deployctl.domain.inputs.grammar import refused, shown
from deployctl.domain.inputs.names import parse_env_name, parse_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEYS = ("name", "env", "mode", "user")
_LIST = 'Write a list: ["DATABASE_URL", { name = "TOKEN", env = "TOKEN" }].'
_MODE = 'A mode lets somebody read and nobody write: "0400", "0440" or "0444".'


def secret_refs(value: object, *, field: str) -> tuple[SecretRef, ...]:
    """Return the secrets that a container gets, in the file's order."""
    if not isinstance(value, list | tuple):
        raise refused(field, value, "is not a list", _LIST)
    found = tuple(one if isinstance(one, SecretRef) else _ref(one, field) for one in value)
    for names in ([one.name for one in found], [one.env for one in found if one.env]):
        if len(set(names)) < len(names):
            raise refused(field, sorted(names), "names a secret or a variable twice", "Remove one of them.")
    return found


def _ref(value: object, field: str) -> SecretRef:
    if isinstance(value, str):
        return SecretRef(parse_secret(value, field=field))
    if not isinstance(value, Mapping) or "name" not in value:
        raise refused(field, value, "is neither a name nor a table with one", _LIST)
    for key in value:
        if key not in _KEYS:
            raise refused(field, key, "is not a key of a secret", f"Allowed: {', '.join(_KEYS)}.")
    env, user = value.get("env"), value.get("user")
    return SecretRef(parse_secret(value["name"], field=field),
                     env=None if env is None else parse_env_name(env, field=field),
                     mode=parse_mode(value["mode"], field=field) if "mode" in value else READ_BY_OWNER,
                     user=None if user is None else parse_user(user, field=field))


def parse_mode(value: object, *, field: str) -> int:
    """Return the permissions of a file that nobody may write to."""
    if isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value) and not int(value, 8) & 0o333 and int(value, 8) & 0o400:
        return int(value, 8)
    raise refused(field, value, "is not a mode that a secret can have", _MODE)


def secret_contradictions(raw: Mapping[str, Any], key: str = "secrets") -> Iterator[tuple[str, str, str]]:
    """Yield each variable that a table sets both by `env` and by a secret. Ignores wrong values."""
    env, listed = raw.get("env", {}), raw.get("secrets", ())
    if not isinstance(env, Mapping) or not isinstance(listed, list | tuple):
        return
    mounted = [str(one).split(":")[1] for one in _texts(raw.get("mounts")) if ":" in str(one)]
    files = raw.get("files")
    for place in (*mounted, *(map(str, files) if isinstance(files, Mapping) else ())) if listed else ():
        if place.rstrip("/") == FOLDER or place.startswith(f"{FOLDER}/"):
            yield key, f"are files in {FOLDER}, where something else is mounted: {shown(place)}.", "Mount it elsewhere."
    for one in listed:
        name = one.env if isinstance(one, SecretRef) else one.get("env") if isinstance(one, Mapping) else None
        if isinstance(name, str) and name in env:
            yield key, f"sets the variable {shown(name)}, and [env] sets it, too.", f"Remove {name} from [env]."


def _texts(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
