"""What an emergency switch means and leaves behind, decided from HAProxy's maps alone: there is no ledger to read."""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.dataclass import dataclass
from deployctl.domain.inputs.names import Version
from deployctl.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName


@dataclass(frozen=True, slots=True)
class FlipNote:
    """One emergency switch, as it waits in the home's notes until a command records it in the ledger. Numbers are
    releases."""

    at: str  # ISO 8601, UTC
    app: AppName
    source: int | None
    target: int
    version: str  # of the target
    actor: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Flippable:
    """A release that HAProxy could route traffic to."""

    number: int
    held: bool


@dataclass(frozen=True, slots=True)
class Flipped:
    """Where HAProxy routes the app's traffic now, read back."""

    app: AppName
    version: str
    release: int
    source: str | None  # version that was live before
    source_release: int | None
    ms: float
    started: bool  # HAProxy was not running before
    warnings: tuple[str, ...]


def find_flippable(app: AppName, version: Version, *, known: Mapping[str, str], versions: Mapping[str, str],
                   release: int | None = None) -> Flippable:
    """Return the release that the version means: `known` maps to the newest health-checked one, `versions` names all,
    and `release` is the number if one was given.

    Raises NotFound with every version of the app that the maps contain.
    """
    number, _, held = known.get(f"{app}.{version}", "").partition(":")
    if release is not None:
        if _numbered(app, versions).get(release) != version:
            raise _unknown(app, Version(f"{version}@{release}"), known, versions)
        return Flippable(release, held == "held" and number == str(release))
    if number.isdecimal():
        return Flippable(int(number), held == "held")
    named = [release for release, text in _numbered(app, versions).items() if text == version]
    if named:
        return Flippable(max(named), held=False)
    raise _unknown(app, version, known, versions)


def version_of(app: AppName, number: int | None, versions: Mapping[str, str]) -> str | None:
    return None if number is None else versions.get(f"{app}.{number}", f"release {number}")


def _numbered(app: AppName, versions: Mapping[str, str]) -> dict[int, str]:
    split = ((key.rpartition("."), text) for key, text in versions.items())
    return {int(number): text for (of, _, number), text in split if of == app and number.isdecimal()}


def _unknown(app: AppName, version: Version, known: Mapping[str, str], versions: Mapping[str, str]) -> NotFound:
    names = sorted(set(_numbered(app, versions).values())
                  | {key.removeprefix(f"{app}.") for key in known if key.startswith(f"{app}.")})
    if names:
        return NotFound(f"HAProxy has no running {app} {version}; it has {', '.join(names)}. Nothing was changed.",
                        remedy=[f"deployctl emergency flip {app} {names[-1]}"])
    apps = sorted({key.partition(".")[0] for key in (*known, *versions)})
    return NotFound(f'HAProxy has no app "{app}"; it has {", ".join(apps) or "none"}. Nothing was changed.',
                    remedy=["deployctl emergency flip APP VERSION"])
