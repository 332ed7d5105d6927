"""What people must know before anything else on an app's page: why it is not healthy, each in one sentence. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from deployctl.dataclass import dataclass, replace
from deployctl.domain.change.status_note import NoteCode
from deployctl.domain.host.actor import Actor
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.usecases.results import AppView, ConfigCode, StatusView
from deployctl.usecases.view.in_progress import Failure, InProgress
from deployctl.verbs.table import deployments
from deployctl_web.pages.parts.template_filters import ended, sentence

STALE_SECONDS = 10.0  # seconds after which a reading is shown as old
MOVING = deployments()  # shown as a row of their own


@dataclass(frozen=True, slots=True)
class Notice:
    """`level` is info, warn or bad; `lines` is evidence, `command` what to type; `failure` brings its own buttons."""

    level: str
    title: str
    text: str = ""
    lines: tuple[str, ...] = ()
    command: str = ""
    failure: Failure | None = None


def notices_of(whole: StatusView, view: AppView, *, under: InProgress | None, failure: Failure | None, at: str, age: float,
               stale: str) -> list[Notice]:
    """Return the notices, what affects clients first; `stale` says why there is no newer reading, `at` is its time."""
    harm = [*_harm(view), *(_named(one, own) for own in view.backing for one in _harm(own)), *_away(whole, view)]
    if stale and age > STALE_SECONDS:
        harm.insert(0, Notice("warn", f"Last known state, from {at}.", f"{stale} HAProxy keeps serving as last set."))
    found = [*harm, *_others(view), *_config(view)]
    found += [_named(one, own) for own in view.backing for one in (*_others(own), *_config(own))]
    if failure is not None and under is None:
        found.append(_failed(failure, view))
    if under is not None:
        found += _under_way(under, view)
    return found


def _named(notice: Notice, own: AppView) -> Notice:
    """Return the notice of a backing component as the page of its app shows it."""
    return notice if own.app in notice.title else replace(notice, title=f"{own.app}: {notice.title}")


def _harm(view: AppView) -> Iterator[Notice]:
    """Yield what the status reports of an app that is not healthy."""
    if view.state not in {"degraded", "down"}:
        return
    level = "bad" if view.state == "down" else "warn"
    if view.active is None:
        unserved = f"{owner_of(AppName(view.app))} cannot reach it" if view.is_backing else "visitors get 503"
        yield Notice(level, f"{view.app} has no live version: {unserved}.")
    for note in view.notes:
        if note.code in _OF_LIVE:
            yield Notice(level, ended(note.message), ended(note.more))


_OF_LIVE = frozenset({NoteCode.LIVE_NOT_PASSING, NoteCode.LIVE_FAILS_REQUESTS, NoteCode.COMPONENT_NOT_PASSING})
# Chips show what is on hold, what affects clients is first, and a row of its own shows what is in progress.
_SHOWN_ELSEWHERE = frozenset({*_OF_LIVE, NoteCode.ON_HOLD, NoteCode.NO_LIVE_VERSION, NoteCode.INTERRUPTED})


def _away(whole: StatusView, view: AppView) -> Iterator[Notice]:
    if whole.proxy:
        yield Notice("warn", ended(whole.proxy), "The live version is shown as the ledger has it.")
    if whole.engine:
        yield Notice("warn", ended(whole.engine), "Running versions keep serving; a warm version can still be switched to.",
                     command="sudo systemctl start docker")


def _others(view: AppView) -> Iterator[Notice]:
    """Yield the other notes and the drift."""
    for note in view.notes:
        if note.code not in _SHOWN_ELSEWHERE:
            yield Notice("warn", ended(sentence(note.message)))
    drifts = view.untold_drifts
    if drifts:
        differ = f"{len(drifts)} things differ" if len(drifts) > 1 else "One thing differs"
        repaired = any(one.repair for one in view.drifts)
        yield Notice("warn", f"{differ} from the ledger.", lines=tuple(sentence(one.message) for one in drifts),
                     command=f"deployctl reconcile {view.app}" if repaired else "")


def _config(view: AppView) -> Iterator[Notice]:
    """Yield what its file contains that is not deployed."""
    state, version = view.config, view.active.version if view.active else "VERSION"
    file = f"config/{owner_of(AppName(view.app))}.toml"
    if state is not None and state.code is ConfigCode.WRONG:
        yield Notice("info", "Config cannot be deployed as it is.", sentence(state.why), command=file)
    if state is not None and state.code is ConfigCode.CHANGED:
        lines = tuple(f"{one.group}: {one.name} {one.before or '–'} → {one.after or '–'}" for one in state.lines)
        text = f"{file} was edited since it was deployed last."
        yield Notice("info", "Config changed, not deployed.", text, lines, command=f"deployctl upgrade {view.app} {version}")


def _failed(failure: Failure, view: AppView) -> Notice:
    version, serves = failure.version or "The last attempt", view.active.version if view.active else None
    why = sentence(failure.why)
    now = f"{serves} is still live." if serves else "Nothing changed."
    if failure.stuck:
        return Notice("bad", f"The last {failure.verb} was left incomplete: manual intervention needed.", why,
                      failure.evidence, f"deployctl status {view.app}", failure)
    if failure.switched:
        return Notice("warn", f"{version} failed under traffic and was rolled back automatically.",
                      f"{why} {serves or 'No version'} is live.",
                      failure.evidence, failure=failure)
    verb = "become healthy" if failure.verb in MOVING else "work"
    return Notice("warn", f"{version} did not {verb}. {now}", why, failure.evidence, failure=failure)


def _under_way(under: InProgress, view: AppView) -> Iterator[Notice]:
    if under.interrupted:
        yield Notice("warn", f"The {under.verb} by {under.by} was interrupted.",
                     "The next change finishes or reverts it.", command=f"deployctl abort {view.app}")
    elif under.verb not in MOVING:
        yield Notice("info", f"{Actor.of(under.by).name} is running {under.verb}.",
                     "Other changes are rejected until it ends; a rollback can overtake it.")
