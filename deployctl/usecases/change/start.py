"""Run a version alongside the live one, health-checked and reachable by its own port and by header, without traffic."""

from __future__ import annotations

from deployctl.dataclass import replace
from deployctl.domain.change.plan import PlanKind
from deployctl.domain.change.planner import plan_nothing, plan_start
from deployctl.domain.images.image_source import ImageCode
from deployctl.domain.inputs.names import backing_of
from deployctl.errors import DeployctlError, Refused
from deployctl.usecases.change.rollback_target import require_reachable
from deployctl.usecases.read_facts import observe, require_numbered
from deployctl.usecases.results import Done, Preview
from deployctl.usecases.steps.execute import walk_plan
from deployctl.usecases.steps.find_image import find_news
from deployctl.usecases.steps.lease import fenced_by, lease
from deployctl.usecases.steps.options import ChangeOptions, require_revision
from deployctl.usecases.steps.prepare import prepare, written_release
from deployctl.usecases.steps.recover import recover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.image_source import ImageNews, PullPolicy
    from deployctl.domain.images.release import Instance, Release
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.ports import Services


def start(app: AppName, version: Version, s: Services, *, release: int | None = None, options: ChangeOptions = ChangeOptions(),
          image: str | None = None, pull: PullPolicy | None = None, any_image: bool = True) -> Done:
    """Start the newest health-checked release of `version`, or the one of that number. Creates it from the app's file
    if there is none, if `image` names another one, or if a registry now has another build under its tag. Without
    `any_image` the image must be one that the file names."""
    _require_beside(app, version)
    with lease(app, "start", s, options) as token:
        s = fenced_by(app, token, s)
        recover(app, s, token)
        known, news = _known(app, version, s, release=release, image=image, pull=pull)
        number = known.number if known else None
        if number is None:
            candidate = prepare(app, version, s, image=image, pull=pull, any_image=any_image).written(s)
            number, news = candidate.release.number, candidate.news
            for remark in candidate.remarks:
                s.report.warn(remark)
        facts = observe(app, s, number)
        require_revision(facts, options)
        target = written_release(facts, number)
        if facts.is_warm(number) and facts.is_complete(number):
            return _done(app, target.version, _port(facts.main(number)), news, changed=False)
        require_reachable(facts, target)
        plan = plan_start(facts, target)
        walk_plan(plan, facts, s, token=token, options=options)  # only an upgrade changes the app's address
        if number not in {facts.app.active, facts.serving}:
            s.ledger.set_instances(app, number, beside=True, failed=False)
        instance = s.ledger.find_instance(app, target.main)
        return _done(app, target.version, _port(instance), news, changed=True)


def _require_beside(app: AppName, version: Version) -> None:
    """Raise Refused for a backing component: its versions share one address, so none runs beside another."""
    if backing_of(app) is not None:
        raise Refused(f"only one version of {app} runs at a time, so none can be started beside it. Nothing was changed.",
                      remedy=[f"deployctl upgrade {app} {version}"])


def _port(instance: Instance | None) -> int:
    return (instance.host_port if instance else None) or 0


def preview_start(app: AppName, version: Version, s: Services, *, release: int | None = None,
                  options: ChangeOptions = ChangeOptions(),
                  image: str | None = None, pull: PullPolicy | None = None) -> Preview:
    """Return the plan that `start` would carry out now, and change nothing."""
    _require_beside(app, version)
    target, news = _known(app, version, s, release=release, image=image, pull=pull)
    remarks: tuple[str, ...] = ()
    if target is None:
        candidate = prepare(app, version, s, image=image, pull=pull, dry_run=True)
        target, news, remarks = candidate.release, candidate.news, candidate.remarks
    facts = observe(app, s, target.version)
    facts = replace(facts, releases={**facts.releases, target.number: target})
    require_revision(facts, options)
    warm = facts.is_warm(target.number) and facts.is_complete(target.number)
    running = f"{app} {version} is already running"
    plan = plan_nothing(facts, PlanKind.START, target, running) if warm else plan_start(facts, target)
    return Preview(plan, warnings=remarks, image=news)


def _known(app: AppName, version: Version, s: Services, *, release: int | None, image: str | None,
           pull: PullPolicy | None) -> tuple[Release | None, ImageNews | None]:
    """Return the release that is meant without reading the app's file, and what its registry reported."""
    if release is not None:
        return require_numbered(observe(app, s, version, release), version, release), None
    if image is not None or s.ledger.find_app(app) is None:
        return None, None
    found = observe(app, s, version).newest_proven(version)
    if found is None:
        return None, None
    news = find_news(found.bundle, pull or _policy(app, s), s)
    return (None if news and news.code is ImageCode.TAG_MOVED else found), news


def _policy(app: AppName, s: Services) -> PullPolicy:
    """Return the app's file's policy; starting what ran before must work without a file."""
    try:
        return s.app_file(app).pull
    except DeployctlError:
        return s.spec.pull


def _done(app: AppName, version: Version, port: int, news: ImageNews | None, *, changed: bool) -> Done:
    what = "runs" if changed else "is already running"
    return Done("Start", app, f"{app} {version} {what} on 127.0.0.1:{port}, without traffic",
                (f"Through the public address: send the header X-Deployctl-Version: {version}",
                 f"Make it live: deployctl upgrade {app} {version}"), changed=changed,
                extra={"version": version, "port": port}, image=news)
