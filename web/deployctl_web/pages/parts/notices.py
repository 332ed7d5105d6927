"""What a person must know before anything else on an app's page: why it is not fine, each in one sentence. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployctl.dataclass import dataclass
from deployctl.domain.change.probes import HealthReason
from deployctl.usecases.results import AppView, ConfigCode, StatusView
from deployctl.usecases.view.in_progress import Failure, UnderWay
from deployctl_web.pages.parts.template_filters import sentence

LONG = 10.0  # seconds after which a reading is called old
MOVING = frozenset({"upgrade", "rollback", "undo", "start"})  # shown as a row of their own


@dataclass(frozen=True, slots=True)
class Notice:
    """`level` is info, warn or bad; `lines` is evidence, `command` what to type; `failure` brings its own buttons."""

    level: str
    title: str
    text: str = ""
    lines: tuple[str, ...] = ()
    command: str = ""
    failure: Failure | None = None


def notices_of(whole: StatusView, view: AppView, *, under: UnderWay | None, failure: Failure | None, at: str, age: float,
               stale: str) -> list[Notice]:
    """Return the notices, what harms visitors first; `stale` says why there is no newer reading, `at` is its clock."""
    harm = [*_harm(view), *_away(whole, view)]
    if stale and age > LONG:
        harm.insert(0, Notice("warn", f"This was so at {at}.", f"{stale} HAProxy keeps serving as last set."))
    found = [*harm, *_others(view, {one.title for one in harm}), *_config(view)]
    if failure is not None and under is None:
        found.append(_failed(failure, view))
    if under is not None:
        found += _under_way(under, view)
    return found


def _harm(view: AppView) -> Iterator[Notice]:
    """Yield what the status says of an app that is not well."""
    if view.state not in {"degraded", "down"}:
        return
    level = "bad" if view.state == "down" else "warn"
    notes = [_plain(note, view) for note in view.notes if _is_of_serving(note, view)]
    text = " ".join(notes)
    if view.active is None:
        yield Notice(level, f"{view.app} serves nobody: visitors get 503.", text)
    elif view.active.health != "passing":
        said = view.active.said or "is not running"
        before = _BEFORE.get(view.active.health_reason, "")
        yield Notice(level, f"{view.active.version} {before}{said}.", "" if said in text else text)
    elif notes:
        first, _, rest = notes[0].partition("; ")
        yield Notice(level, f"{first};" if rest else f"{first.rstrip('.')}.", " ".join([*([rest] if rest else []), *notes[1:]]))


_BEFORE: Mapping[HealthReason | None, str] = {
    HealthReason.WRONG_ANSWER: "does not pass its probe: ",
    HealthReason.NO_ANSWER: "does not pass its probe: ",
    HealthReason.NONE_ANSWERED: "answers no visitor: ",
    HealthReason.RECONNECTED: "is not at its own address: ",
    HealthReason.ANSWERED_BY_ANOTHER: "is not what visitors reach: ",
}


def _is_of_serving(note: str, view: AppView) -> bool:
    version = view.active.version if view.active else ""
    return bool(version) and _plain(note, view).startswith(f"{version} ") and "is on hold (" not in note


def _away(whole: StatusView, view: AppView) -> Iterator[Notice]:
    if whole.proxy:
        yield Notice("warn", _stopped(whole.proxy), "Who serves is shown as the ledger has it.")
    if whole.engine:
        yield Notice("warn", _stopped(whole.engine), "What runs keeps serving; a warm version can still be switched to.",
                     command="sudo systemctl start docker")


def _others(view: AppView, told: set[str]) -> Iterator[Notice]:
    """Yield the other notes and the drift. Holds are shown as chips, and what serves was told above."""
    for note in view.notes:
        plain = _plain(note, view)
        if "is on hold (" in note or _is_of_serving(note, view) or ("serves nobody" in note and view.active is None):
            continue
        if plain not in told:
            yield Notice("warn", sentence(plain) + "." * (not plain.endswith(".")))
    drift = tuple(sentence(_plain(one, view)) for one in view.drift if one not in view.notes)
    if drift:
        more = f"{len(drift)} things are" if len(drift) > 1 else "Something is"
        mended = any(one.mend for one in view.drifts)
        yield Notice("warn", f"{more} not as the ledger has it.", lines=drift,
                     command=f"deployctl reconcile {view.app}" if mended else "")


def _config(view: AppView) -> Iterator[Notice]:
    """Yield what its file says that is not deployed."""
    state, version = view.config, view.active.version if view.active else "VERSION"
    if state is not None and state.code is ConfigCode.WRONG:
        yield Notice("info", "Config cannot be deployed as it is.", sentence(state.why), command=f"config/{view.app}.toml")
    if state is not None and state.code is ConfigCode.CHANGED:
        lines = tuple(f"{one.group}: {one.name} {one.before or '–'} → {one.after or '–'}" for one in state.lines)
        text = f"config/{view.app}.toml was edited since it was deployed last."
        yield Notice("info", "Config changed, not deployed.", text, lines, command=f"deployctl upgrade {view.app} {version}")


def _failed(failure: Failure, view: AppView) -> Notice:
    version, serves = failure.version or "The last attempt", view.active.version if view.active else None
    why = failure.why.removeprefix(f"{version} failed under traffic: ").removeprefix(f"{version} did not get healthy: ")
    why = sentence(why)
    now = f"{serves} serves, nothing changed." if serves else "Nothing changed."
    if failure.stuck:
        return Notice("bad", f"The last {failure.verb} was left half-way: a person must look.", why,
                      failure.evidence, f"deployctl status {view.app}", failure)
    if failure.switched:
        return Notice("warn", f"Went back from {version} by itself.", f"{why} {serves or 'Nobody'} serves.",
                      failure.evidence, failure=failure)
    verb = "get healthy" if failure.verb in MOVING else "work"
    return Notice("warn", f"{version} did not {verb}. {now}", why, failure.evidence, failure=failure)


def _under_way(under: UnderWay, view: AppView) -> Iterator[Notice]:
    if under.interrupted:
        yield Notice("warn", f"The {under.verb} by {under.by} was interrupted.",
                     "The next change finishes it or takes it back.", command=f"deployctl abort {view.app}")
    elif under.verb not in MOVING:
        yield Notice("info", f"{under.by} is at {view.app}: {under.verb}.",
                     "Until that has ended, other changes are refused; a rollback can overtake it.")


def _stopped(text: str) -> str:
    return text if text.endswith((".", ".)")) else f"{text}."


def _plain(note: str, view: AppView) -> str:
    return note.removeprefix(f"{view.app}: ")


