"""What config/server.toml allows one app to have of this server ([allow.APP]); without it an app has none of that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.server import Allowance
    from deployctl.domain.images.component import Component

KEYS = ("cap_add", "devices", "gpus", "ipc", "pid", "privileged", "security_opt", "sysctls")


def missing_keys(components: Iterable[Component], allowed: Allowance) -> Iterator[str]:
    """Yield each key that the components have and the app may not have."""
    wanted = {key for one in components for key in _wanted(one)}
    yield from (key for key in KEYS if key in wanted and key not in allowed.keys)


def _wanted(component: Component) -> Iterator[str]:
    from deployctl.domain.images.engine_keys import is_free

    if not all(map(is_free, component.bundle.cap_add)):
        yield "cap_add"
    keys = component.bundle.keys
    yield from (name for name in KEYS if keys is not None and getattr(keys, name, None))


def covers(paths: Iterable[str], path: str) -> bool:
    """Return whether one of these paths is it, or has it somewhere below."""
    return any(path == one or path.startswith(f"{one.rstrip('/')}/") for one in paths)


def crossing(path: str, *, read_only: bool, others: Iterable[tuple[str, bool]]) -> str | None:
    """Return another mounted path (with whether it is read-only) that makes this one unsafe: a container that may write to a
    folder could replace what lies below by a link to anywhere, and the engine would follow it at the next start."""
    for other, only_read in others:
        inside, around = covers([other], path), covers([path], other)
        if other != path and ((inside and not only_read) or (around and not read_only)):
            return other
    return None
