"""Start a version alongside the active one, check its health, and switch the traffic to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from deployctl.dataclass import replace
from deployctl.domain.change.facts import AppFacts
from deployctl.domain.change.plan import PlanKind, Step, StepKind
from deployctl.domain.change.planner import plan_move, plan_nothing
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.traffic import closed_text
from deployctl.errors import NotFound, ProxyUnavailable
from deployctl.usecases.read_facts import observe
from deployctl.usecases.results import Preview
from deployctl.usecases.steps.app_address import require_address_wanted
from deployctl.usecases.steps.options import ChangeOptions, require_revision
from deployctl.usecases.steps.prepare import prepare, written_release
from deployctl.usecases.view.config_state import app_differences
from deployctl.usecases.view.diff import compare_releases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.expected_gap import ExpectedGap
    from deployctl.domain.change.plan import Plan
    from deployctl.domain.images.image_source import PullPolicy
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import Version
    from deployctl.ports import Services
    from deployctl.usecases.results import DiffLine, Moved
    from deployctl.usecases.steps.prepare import PreparedCandidate


def upgrade(app: AppName, version: Version, s: Services, *, options: ChangeOptions = ChangeOptions(), image: str | None = None,
            env: Mapping[str, str] | None = None, pull: PullPolicy | None = None, any_image: bool = True) -> Moved:
    """Make `version` live, by the app's file as it is now. Before the switch, a failure changes nothing.

    `image`, `env` and `pull` override the file; without `any_image` the image must be one that the file names. Raises
    Invalid (file, name), NotPermitted (image), NotFound (image), OnHold, StateChanged, LeaseHeld, NotHealthy,
    RevertedAfterSwitch, Unreachable, ConfirmationNeeded (the file removes an address of the app).
    """
    from deployctl.usecases.change.rollback import already
    from deployctl.usecases.steps.execute import move
    from deployctl.usecases.steps.lease import fenced_by, lease
    from deployctl.usecases.steps.recover import recover

    started = s.clock.now()
    with lease(app, "upgrade", s, options) as token:
        s = fenced_by(app, token, s)
        recover(app, s, token)
        _require_address_wanted(app, s, options)
        candidate = prepare(app, version, s, image=image, env=env, pull=pull, any_image=any_image)
        require_revision(_facts(app, s, candidate), options)
        _require_not_held(candidate, s)
        _require_short_gap(candidate, s, options)
        candidate = candidate.written(s)
        if candidate.backing:
            from deployctl.usecases.change.backing import start_missing

            start_missing(app, candidate.backing, s, options=options)
        facts = _facts(app, s, candidate)
        release = written_release(facts, candidate.release.number)
        if _serves(facts, release):
            taken = _apply_wishes(facts, candidate, s)
            same = already(facts, release, PlanKind.UPGRADE, s, started)
            return _with_news(replace(same, taken_over=taken), candidate, s)
        plan = plan_move(replace(facts, app=candidate.wishes(facts.app)), PlanKind.UPGRADE, release)
        moved = move(plan, facts, s, token=token, options=options, started=started, before=candidate.steps,
                     wishes=candidate.wishes(facts.app), remarks=candidate.remarks)
        if candidate.files:
            from deployctl.execution.mounts import tidy_files

            tidy_files(app, s)
        return _with_news(moved, candidate, s)


def preview_upgrade(app: AppName, version: Version, s: Services, *, options: ChangeOptions = ChangeOptions(),
                    image: str | None = None,
                    env: Mapping[str, str] | None = None, pull: PullPolicy | None = None) -> Preview:
    """Return the plan that `upgrade` would carry out now, and change nothing: not even an image is pulled."""
    candidate = prepare(app, version, s, image=image, env=env, pull=pull, dry_run=True)
    return preview_of(candidate, s, options=options, pull=pull)


def preview_of(candidate: PreparedCandidate, s: Services, *, options: ChangeOptions = ChangeOptions(),
               pull: PullPolicy | None = None) -> Preview:
    """Return the plan that would make that candidate live."""
    app = candidate.app.name
    facts = _facts(app, s, candidate)
    require_revision(facts, options)
    _require_not_held(candidate, s)
    from deployctl.usecases.redaction import redact_lines  # its patterns are only needed for a dry run

    plan = _plan(facts, candidate)
    first, warnings = _backing_first(candidate, s, pull)
    return Preview(plan, warnings=(*candidate.remarks, *warnings), image=candidate.news,
                   changes=tuple(redact_lines(_changes(facts, candidate))),
                   gap=_gap(_with_candidate(facts, candidate), candidate.release, s) if plan.steps else None, first=first)


def _backing_first(candidate: PreparedCandidate, s: Services,
                   pull: PullPolicy | None) -> tuple[tuple[Preview, ...], tuple[str, ...]]:
    """Return what would be started before, and what would be warned of."""
    if not candidate.backing:
        return (), ()
    from deployctl.usecases.change.backing import differing, preview_missing

    app = candidate.app
    return preview_missing(app, candidate.backing, s, pull=pull), tuple(differing(app.name, candidate.backing, s))


def _changes(facts: AppFacts, candidate: PreparedCandidate) -> list[DiffLine]:
    """Return what would differ from the live release; nothing if there is none."""
    active = facts.releases.get(facts.app.active or 0)
    if active is None:
        return []
    return [*compare_releases(active, candidate.release), *app_differences(facts.app, candidate.wishes(facts.app))]


def _require_address_wanted(app: AppName, s: Services, options: ChangeOptions) -> None:
    """Ask before anything is pulled. A missing or invalid file is reported during preparation."""
    now = s.ledger.find_app(app)
    if now is not None and not options.confirmed:
        with suppress(NotFound):
            require_address_wanted(now, now.wishing(s.app_file(app)), s, options)


def _with_news(moved: Moved, candidate: PreparedCandidate, s: Services) -> Moved:
    """Return the result with news of the image, and with warnings about the app's environment: repeated each time until
    fixed."""
    warnings = list(_surroundings(AppName(moved.app), s))
    for warning in warnings:
        s.report.warn(warning)
    return replace(moved, image=candidate.news, warnings=(*moved.warnings, *warnings))


def _surroundings(app: AppName, s: Services) -> Iterator[str]:
    """Yield what may end HAProxy, and a proxy in front whose forwarded headers do not reach the app."""
    for frail in s.traffic.frailties():
        yield f"{frail.text}. Fix: {frail.remedy}"
    fronts = s.traffic.dropped_fronts()
    if app in fronts:
        yield f"{fronts[app].text(app)}. To trust it, {fronts[app].remedy(app)}."


def _facts(app: AppName, s: Services, candidate: PreparedCandidate) -> AppFacts:
    release = candidate.release
    return observe(app, s, release.number, release.version) if s.ledger.find_app(app) else AppFacts(app=candidate.app)


def _with_candidate(facts: AppFacts, candidate: PreparedCandidate) -> AppFacts:
    """Return the facts as they are once the release is recorded."""
    release = candidate.release
    return replace(facts, releases={**facts.releases, release.number: release}, app=candidate.wishes(facts.app))


def _serves(facts: AppFacts, release: Release) -> bool:
    """Return whether it is live already: exactly that release, with the same release spec."""
    return (release.number == facts.app.active == facts.serving and facts.is_warm(release.number)
            and facts.is_complete(release.number)
            and facts.is_working(release.number))


def _require_short_gap(candidate: PreparedCandidate, s: Services, options: ChangeOptions) -> None:
    """Ask before anything begins if clients may have to wait for longer than the file allows."""
    if any(one.is_exclusive for one in candidate.release.components):
        from deployctl.usecases.steps.short_gap import require_short_gap

        facts = _with_candidate(_facts(candidate.app.name, s, candidate), candidate)
        require_short_gap(facts, candidate.release, PlanKind.UPGRADE, s, options)


def _gap(facts: AppFacts, target: Release, s: Services) -> ExpectedGap | None:
    if not any(one.is_exclusive for one in target.components):
        return None
    from deployctl.usecases.steps.short_gap import gap_of

    return gap_of(facts, target, PlanKind.UPGRADE, s)


def _plan(facts: AppFacts, candidate: PreparedCandidate) -> Plan:
    release = candidate.release
    if not _serves(facts, release):
        return plan_move(_with_candidate(facts, candidate), PlanKind.UPGRADE, release)
    plan = plan_nothing(facts, PlanKind.UPGRADE, release, f"{facts.app.name} {release.version} is already live")
    if not app_differences(facts.app, candidate.wishes(facts.app)):
        return plan
    return replace(plan, steps=(Step(StepKind.ROUTE, release.number, f"apply the changes in config/{facts.app.name}.toml"),))


def _require_not_held(candidate: PreparedCandidate, s: Services) -> None:
    """Raises OnHold if this very release spec, or every spec of its version and digest, was rolled back.

    Another digest under the name may be deployed; so may another spec of an image that served well with one.
    """
    from deployctl.usecases.change.rollback_target import on_hold

    mine = candidate.release
    same = s.ledger.builds(mine.app, mine.version, mine.digest)
    held = [r for r in same if r.hold]
    if held and (len(held) == len(same) or mine.number in {r.number for r in held}):
        raise on_hold(held[0])


def _apply_wishes(facts: AppFacts, candidate: PreparedCandidate, s: Services) -> tuple[DiffLine, ...]:
    """Apply a changed address or policy of the app although its release is already live; return what differs."""
    wished = candidate.wishes(facts.app)
    if wished != facts.app:
        s.ledger.set_wishes(wished)
    lines = app_differences(facts.app, wished)
    try:
        if lines and (closed := s.traffic.sync()):
            s.report.warn(closed_text(closed))
    except ProxyUnavailable:  # what HAProxy rejects would block every app's next change
        s.ledger.set_wishes(facts.app)
        with suppress(ProxyUnavailable):
            s.traffic.sync()
        raise
    return tuple(lines)
