"""The secrets of an app or of all: names, when they were set, and which releases have which value. No values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deployctl.dataclass import asdict, dataclass
from deployctl.usecases.results import Done
from deployctl.usecases.secrets.needed import spoken, with_container, within_reach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services


@dataclass(frozen=True, slots=True)
class SecretLine:
    """One value that is held."""

    app: str
    name: str
    value: str  # id: a keyed hash, equal for equal values
    current: bool  # what the next upgrade takes
    set_at: str
    used_by: tuple[str, ...]  # releases with a container that have it


def list_secrets(app: AppName | None, s: Services) -> tuple[SecretLine, ...]:
    apps = s.secrets().apps() if app is None else [app]
    return tuple(line for one in apps for line in _lines(one, s))


def listed(app: AppName | None, lines: Sequence[SecretLine]) -> Done:
    """Return them as a result, with `secrets` among its fields."""
    return Done("Secrets", app or "", f"{len(lines)} values", changed=False, extra={"secrets": [asdict(one) for one in lines]})


def _lines(app: AppName, s: Services) -> Iterator[SecretLine]:
    known = within_reach(app, s)
    kept = with_container(known, s)
    for held in s.secrets().held(app):
        names = tuple(spoken(release, known) for release in kept if _has(release, held.id))
        yield SecretLine(app, held.name, held.id, held.current, held.set_at, names)


def _has(release: Release, value: str) -> bool:
    return any(ref.value == value for one in release.components for ref in one.bundle.secrets)
