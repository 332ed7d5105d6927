"""The button of one release: always named by its target, with a question first if the risk is real."""

from __future__ import annotations

from deployctl.dataclass import dataclass
from deployctl.domain.change.plan import TRAFFIC_MOVES
from deployctl.domain.change.readiness import How
from deployctl.domain.images.release import Change, Hold
from deployctl.usecases.results import AppView
from deployctl.usecases.view.in_progress import InProgress
from deployctl.usecases.view.versions import VersionLine, VersionsView, Way


@dataclass(frozen=True, slots=True)
class Go:
    """One button. `look` is go (prominent), calm or faint; `asks` leads to the question instead of acting."""

    verb: str
    version: str
    release: int  # number; a rollback goes to exactly that one
    label: str
    hint: str
    look: str
    asks: bool = False
    abort: bool = False  # aborts what is in progress
    short: str = "Switch traffic"  # the label in a row that names the target


def button_of(line: VersionLine, view: AppView, under: InProgress | None, last: Change | None) -> Go | None:
    """Return the button that switches the traffic to that release, None if there is none; `last` is the last change."""
    if line.way is Way.BACK:
        return _back(line, view, under)
    if under is not None:
        return None
    if line.way is Way.FORTH:
        hint = "Under a second, can be undone" if line.how is How.WARM else "Must start first"
        short = "Upgrade" if view.is_backing else "Switch traffic"
        label = f"{short} to {line.version}"
        return Go("upgrade", line.version, line.release, label, hint, "faint", asks=line.asks, short=short)
    if line.way is Way.HELD and last is not None and _left(last) == line.release and not held_since(line.hold, last):
        hint, short = f"Undoes the {last.kind} and releases the hold", "Undo" if view.is_backing else "Switch traffic"
        label = f"Undo: back to {line.name}" if view.is_backing else f"Switch traffic to {line.name}"
        return Go("undo", line.version, line.release, label, hint, "faint", asks=view.is_backing, short=short)
    return None


def held_since(hold: Hold | None, last: Change) -> bool:
    """Return whether a person has put it on hold after that change: then undoing is rejected."""
    return hold is not None and hold.revision >= last.revision


def _left(last: Change) -> int | None:
    """Return the release that the last change left, if it can be undone."""
    return last.source if last.kind in TRAFFIC_MOVES and last.target is not None else None


def _back(line: VersionLine, view: AppView, under: InProgress | None) -> Go:
    word = "Abort and roll back" if under is not None and not under.promoted else "Roll back"
    look = "go" if view.state in {"degraded", "down"} else "calm"
    return Go("rollback", line.version, line.release, f"{word} to {line.name}", _hint(line, view, under), look, asks=line.asks,
              abort=under is not None, short="Roll back")


def _hint(line: VersionLine, view: AppView, under: InProgress | None) -> str:
    if under is not None:
        return f"Aborts the {under.verb}{f' of {under.version}' if under.version else ''} by {under.by}"
    return _time(line) + _brings(line, view)


def _brings(line: VersionLine, view: AppView) -> str:
    """Return what is restored if the version is the same: another configuration of the live one."""
    if line.release != view.rollback_release or view.active is None or view.active.version != line.version:
        return ""
    brings_back = view.rollback.brings_back if view.rollback else ()
    some = brings_back[:3]
    return f". Restores: {', '.join(some)}{' …' if len(brings_back) > len(some) else ''}" if some else ""


def _time(line: VersionLine) -> str:
    if line.how is How.WARM:
        return "Under a second, can be undone"
    if line.how is How.PULL:
        return "The image is pulled first"
    return f"Starts in about {max(1, round(line.seconds))} s" if line.seconds is not None else "Must start first"


def warm_button(view: AppView, found: VersionsView) -> VersionLine | None:
    """Return a release that can take the traffic immediately: what `rollback` would choose, else another one."""
    ready = [line for line in found.lines if line.way is Way.BACK and line.how is How.WARM]
    return next((line for line in ready if line.release == view.rollback_release), next(iter(ready), None))
