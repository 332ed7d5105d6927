"""Run a version beside the others, proven and reachable by its own port and by header, without traffic."""

from __future__ import annotations

from dataclasses import replace

from deployctl.domain.names import AppName, Version
from deployctl.domain.planner import plan_start
from deployctl.ports import Services
from deployctl.usecases.lease import fenced_by, lease
from deployctl.usecases.move import walk_plan
from deployctl.usecases.observe import observe
from deployctl.usecases.prepare import prepare, written_release
from deployctl.usecases.recover import recover
from deployctl.usecases.results import Done, Preview
from deployctl.usecases.rollback import require_reachable
from deployctl.usecases.wish import Wish, require_revision


def start(app: AppName, version: Version, s: Services, *, wish: Wish = Wish(), image: str | None = None) -> Done:
    """Start the newest proven release of `version`; make the release from the app's file where there is none."""
    with lease(app, "start", s, wish) as token:
        s = fenced_by(app, token, s)
        recover(app, s, token)
        number = _known(app, version, s)
        if number is None:
            candidate = prepare(app, version, s, image=image).written(s)
            number = candidate.release.number
            for remark in candidate.remarks:
                s.report.warn(remark)
        facts = observe(app, s)
        require_revision(facts, wish)
        release = written_release(facts, number)
        if facts.is_warm(number):
            return _done(app, release.version, facts.instances[number].host_port, changed=False)
        require_reachable(facts, release)
        plan = plan_start(facts, release)
        walk_plan(plan, facts, s, token=token, wish=wish)  # the app's address is an upgrade's to change
        if number not in {facts.app.active, facts.serving}:
            s.ledger.set_instance(app, number, beside=True, failed=False)
        instance = s.ledger.find_instance(app, number)
        return _done(app, release.version, instance.host_port if instance else 0, changed=True)


def preview_start(app: AppName, version: Version, s: Services, *, wish: Wish = Wish(),
                  image: str | None = None) -> Preview:
    """Return the plan that `start` would walk now, and change nothing."""
    number = _known(app, version, s)
    if number is not None:
        facts = observe(app, s)
        require_revision(facts, wish)
        return Preview(plan_start(facts, facts.releases[number]))
    candidate = prepare(app, version, s, image=image, pull=False)
    facts = observe(app, s)
    facts = replace(facts, releases={**facts.releases, candidate.release.number: candidate.release})
    require_revision(facts, wish)
    return Preview(plan_start(facts, candidate.release), warnings=candidate.remarks)


def _known(app: AppName, version: Version, s: Services) -> int | None:
    if s.ledger.find_app(app) is None:
        return None
    found = observe(app, s).newest_proven(version)
    return found.number if found else None


def _done(app: AppName, version: Version, port: int, *, changed: bool) -> Done:
    what = "runs" if changed else "runs already"
    return Done("Start", app, f"{app} {version} {what} on 127.0.0.1:{port}, without traffic",
                (f"Through the stable address: send the header X-Deployctl-Version: {version}",
                 f"Give it the traffic: deployctl upgrade {app} {version}"), changed=changed,
                extra={"version": version, "port": port})
