"""The questions before something slow, far back or harmful: what the result would be, and what would not be restored.
Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deployctl.dataclass import dataclass
from deployctl.domain.change.readiness import How
from deployctl.domain.images.release import Change, Release
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.usecases.results import AppView
from deployctl.usecases.view.diff import changed_settings
from deployctl.usecases.view.in_progress import InProgress
from deployctl.usecases.view.versions import VersionLine, Way
from deployctl_web.pages.parts.template_filters import by, sentence
from deployctl_web.pages.parts.times import when

NUMBERS = ("", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


@dataclass(frozen=True, slots=True)
class Fact:
    """One line: `strong` is its beginning, `names` are set in monospace."""

    sign: str
    strong: str
    text: str = ""
    names: tuple[str, ...] = ()
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    verb: str
    title: str
    facts: tuple[Fact, ...]
    yes: str  # the button
    to: str | None = None  # version
    before: VersionLine | None = None
    after: VersionLine | None = None
    better: VersionLine | None = None  # warm, and not what was requested
    abort: bool = False
    why_not: str = ""  # it cannot be done: there is nothing to confirm
    noted: bool = True  # a reason is kept


@dataclass(frozen=True, slots=True)
class KnownFacts:
    """What a question about a switch is built from. `active` and `target` are releases, the lines are their state."""

    view: AppView
    line: VersionLine
    live: VersionLine | None
    active: Release | None
    target: Release | None
    changes: Sequence[Change]
    under: InProgress | None
    warm: VersionLine | None


def ask_to_move(verb: str, known: KnownFacts) -> Question:
    """Return the question of a rollback, an undo, or an upgrade to a version that is on this server."""
    line, to = known.line, known.line.name
    cold, abort = line.how is not How.WARM, verb == "rollback" and known.under is not None
    forth = "upgrade" if known.view.is_backing else "switch traffic"
    does = {"rollback": "roll back", "undo": "undo"}.get(verb, forth)
    title = {"rollback": f"Roll back to {to}?", "undo": f"Undo, and switch back to {to}?"}.get(
        verb, f"{sentence(forth)} to {to}?")
    starts = f"{'Pull and start' if line.how is How.PULL else 'Start'} {to} and {does}"
    yes = starts if cold and not known.view.is_backing else sentence(f"{does} to {to}" if verb == "rollback" else does)
    better = known.warm if verb == "rollback" and known.warm and known.warm.release != line.release else None
    yes = f"Abort, then {yes[0].lower()}{yes[1:]}" if abort else yes
    return Question(
        verb, title, tuple(_facts(verb, known)), yes, line.version, known.live, line, better, abort, _why_not(verb, line))


def _why_not(verb: str, line: VersionLine) -> str:
    if line.way is Way.SERVING:
        return f"{line.name} is already live."
    if verb == "rollback" and line.way in {Way.HELD, Way.RETRY, Way.NONE}:
        return f"{line.name} cannot be rolled back to: {line.why}."
    return ""


def _facts(verb: str, known: KnownFacts) -> Iterator[Fact]:
    line, to, live = known.line, known.line.name, known.live.name if known.live else None
    yield _time(line, live, known.view)
    if known.under is not None:
        under = known.under
        yield Fact("stop", f"{sentence(under.verb)}{f' of {under.version}' if under.version else ''} is in progress.",
                   f"Requested by {by(under.by)}; it is aborted and reverted first.", warns=True)
    back = _steps_back(known) if verb == "rollback" else 0
    if known.view.is_backing:
        yield Fact("warn", "Its data stays as it is.", f"Only image and configuration change: can {to} read what "
                   f"{live or 'the former version'} has written?", warns=True)
    elif back > 1:
        count = NUMBERS[back] if back < len(NUMBERS) else str(back)
        yield Fact("warn", f"{count} versions back.", "Databases and volumes are not changed.", warns=True)
    elif verb == "rollback":
        yield Fact("info", "Not rolled back:", "databases and volumes. The variables, limits and command of "
                   f"{to} are restored.")
    if line.why and line.way is Way.BACK:
        yield Fact("warn", "Note:", sentence(line.why) + ".", warns=True)
    if (differing := _differing(known)) is not None:
        yield differing
    if verb == "rollback" and live and not (known.live and known.live.hold):
        yield Fact("lock", f"{live} is put on hold:", "it is not deployed again until the hold is released. "
                   "Other versions are not affected.")
    if line.deployed_at:
        whom = f" by {by(line.deployed_by)}" if line.deployed_by else ""
        yield Fact("up", f"{to} was deployed", f"{when(line.deployed_at)}{whom}.")


def _time(line: VersionLine, live: str | None, view: AppView) -> Fact:
    keeps = f" {live} stays live until {line.version} is healthy." if live else ""
    if live and view.is_backing:
        keeps = f" {live} is stopped first, and started again if {line.version} does not become healthy."
    if line.how is How.WARM:
        return Fact("clock", "Under a second.", f"{line.version} is warm: it is running and can take traffic immediately.")
    if line.how is How.PULL:
        return Fact("clock", "The image is pulled first.", f"How long that takes depends on the registry.{keeps}", warns=True)
    seconds = max(1, round(line.seconds or 0))
    soon = f"About {seconds} seconds." if seconds > 1 else "About a second."
    about = "Must start first." if line.seconds is None else soon
    return Fact("clock", about, f"{line.version} is not running;{keeps.removesuffix('.')}." if keeps
                else f"{line.version} is not running.")


def _steps_back(known: KnownFacts) -> int:
    """Return how many versions of the traffic history it is back, 0 if it is not in it."""
    chain = known.changes[0].chain if known.changes else ()
    active = known.view.active.release if known.view.active else None
    behind = [n for n in reversed(chain) if n != active]
    return behind.index(known.line.release) + 1 if known.line.release in behind else 0


def _differing(known: KnownFacts) -> Fact | None:
    if known.active is None or known.target is None:
        return None
    found = changed_settings(known.active.bundle, known.target.bundle)
    if not found:
        return Fact("list", "Same settings:", "variables, limits and command do not differ.")
    return Fact("list", "Different settings:", names=found[:8] + (("…",) if len(found) > 8 else ()))


def ask_to_stop(line: VersionLine, view: AppView) -> Question:
    """Return the question before a version is stopped; stopping the live one leaves clients without a response."""
    version, facts = line.version, []
    if line.way is Way.SERVING:
        text = f"{version} receives all traffic of {view.app}; no other version takes over."
        facts.append(Fact("warn", f"{owner_of(AppName(view.app))} cannot reach it.", "No other version takes over.", warns=True)
                     if view.is_backing else Fact("warn", "Visitors get 503.", text, warns=True))
    else:
        live = view.active.version if view.active else None
        facts.append(Fact("check", f"{live} stays live." if live else "It is not live.",
                          f"A rollback to {version} must start it first."))
    facts.append(Fact("go", "Its container is kept:", "it can be started again at any time. Open requests may finish."))
    return Question("stop", f"Stop {version}?", tuple(facts), f"Stop {version}", version)


def ask_to_restart(view: AppView) -> Question:
    """Return the question before the live version's containers are restarted in place."""
    live, app = view.active, AppName(view.app)
    if live is None:
        return Question("restart", f"Restart {app}?", (), "", why_not=f"{app} has no live version.")
    facts = [Fact("go", "One container after the other:", "each is healthy before the next one ends.")]
    if view.is_backing:
        facts.append(Fact("warn", f"{owner_of(app)} cannot reach it meanwhile.", "Its data stays as it is.", warns=True))
    elif live.replicas == 1:
        facts.append(Fact("warn", "New requests wait meanwhile.", "What it does not finish within its stop_grace is lost.",
                          warns=True))
    else:
        facts.append(Fact("check", "No request is lost:", "the other replicas get them meanwhile."))
    return Question("restart", f"Restart {live.version}?", tuple(facts), f"Restart {live.version}", noted=False)


def ask_to_prune(app: str, steps: Sequence[str]) -> Question:
    """Return the question before containers beyond retention are removed."""
    if not steps:
        return Question("prune", "Prune containers?", (Fact("check", "Nothing to remove.",
                        "Retention keeps every container."),), "", why_not=f"{app} has nothing to remove.")
    facts = tuple(Fact("x", sentence(step) + ".") for step in steps)
    kept = Fact("check", "Kept:", "the live version, warm standbys, and the next rollback targets.")
    return Question("prune", "Prune containers?", (*facts, kept), "Prune")
