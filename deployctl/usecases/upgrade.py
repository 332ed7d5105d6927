"""Start a version beside the active one, prove it, and move the traffic to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deployctl.domain.facts import Facts
from deployctl.domain.names import AppName, Version
from deployctl.domain.plan import Kind
from deployctl.domain.planner import plan_move
from deployctl.ports import Services
from deployctl.usecases.lease import fenced_by, lease
from deployctl.usecases.move import move
from deployctl.usecases.observe import observe
from deployctl.usecases.prepare import Candidate, prepare, written_release
from deployctl.usecases.recover import recover
from deployctl.usecases.results import Moved, Preview
from deployctl.usecases.rollback import already, on_hold
from deployctl.usecases.wish import Wish, require_revision


def upgrade(app: AppName, version: Version, s: Services, *, wish: Wish = Wish(), image: str | None = None,
            env: Mapping[str, str] | None = None) -> Moved:
    """Make `version` serve, by the app's file as it is now. Before the switch every failure changes nothing.

    Raises Invalid (file, name), NotFound (image), OnHold, StateChanged, LeaseHeld, NotHealthy,
    RevertedAfterSwitch, Unreachable.
    """
    started = s.clock.now()
    with lease(app, "upgrade", s, wish) as token:
        s = fenced_by(app, token, s)
        recover(app, s, token)
        candidate = prepare(app, version, s, image=image, env=env or {})
        require_revision(_facts(app, s, candidate), wish)
        _require_not_held(candidate, s)
        candidate = candidate.written(s)
        facts = _facts(app, s, candidate)
        release = written_release(facts, candidate.release.number)
        if release.number == facts.app.active == facts.serving and facts.is_warm(release.number):
            _apply_wishes(facts, candidate, s)
            return already(facts, release, Kind.UPGRADE, s, started)
        plan = plan_move(replace(facts, app=candidate.wishes(facts.app)), Kind.UPGRADE, release)
        return move(plan, facts, s, token=token, wish=wish, started=started, before=candidate.steps,
                    wishes=candidate.wishes(facts.app), remarks=candidate.remarks)


def preview_upgrade(app: AppName, version: Version, s: Services, *, wish: Wish = Wish(), image: str | None = None,
                    env: Mapping[str, str] | None = None) -> Preview:
    """Return the plan that `upgrade` would walk now, and change nothing: not even an image is pulled."""
    candidate = prepare(app, version, s, image=image, env=env or {}, pull=False)
    facts = _facts(app, s, candidate)
    require_revision(facts, wish)
    _require_not_held(candidate, s)
    facts = replace(facts, releases={**facts.releases, candidate.release.number: candidate.release},
                    app=candidate.wishes(facts.app))
    return Preview(plan_move(facts, Kind.UPGRADE, candidate.release), warnings=candidate.remarks)


def _facts(app: AppName, s: Services, candidate: Candidate) -> Facts:
    return observe(app, s) if s.ledger.find_app(app) else Facts(app=candidate.app)


def _require_not_held(candidate: Candidate, s: Services) -> None:
    """Raise OnHold when this very bundle, or every bundle of its version and digest, was rolled back.

    Another digest under the name may deploy; so may another bundle of an image that served well with one.
    """
    mine = candidate.release
    same = [r for r in s.ledger.releases(mine.app) if (r.version, r.digest) == (mine.version, mine.digest)]
    held = [r for r in same if r.hold]
    if held and (len(held) == len(same) or mine.number in {r.number for r in held}):
        raise on_hold(held[0])


def _apply_wishes(facts: Facts, candidate: Candidate, s: Services) -> None:
    """Take over a changed address or policy of the app although its release is what serves already."""
    wished = candidate.wishes(facts.app)
    if wished != facts.app:
        s.ledger.set_wishes(wished)
        s.traffic.sync()
