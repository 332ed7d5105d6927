"""Change how many replicas of a component run: more are healthy before they get requests, fewer finish theirs first."""

from __future__ import annotations

from deployctl.dataclass import replace
from deployctl.domain.change.plan import PlanKind
from deployctl.domain.change.planner import plan_nothing
from deployctl.domain.change.scaling import plan_scale, scaled
from deployctl.errors import Invalid, NotFound, Refused
from deployctl.usecases.read_facts import observe, require_engine, target_of
from deployctl.usecases.results import Done, Preview
from deployctl.usecases.steps.execute import walk_plan
from deployctl.usecases.steps.lease import lease
from deployctl.usecases.steps.options import ChangeOptions, require_revision
from deployctl.usecases.steps.recover import recover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.images.component import Component
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName, ComponentName
    from deployctl.ports import Services


def scale(app: AppName, replicas: int, s: Services, *, component: ComponentName | None = None,
          options: ChangeOptions = ChangeOptions()) -> Done:
    """Run that many replicas of the component, of the one that clients reach unless another is named, in this version and
    in those after it, until the number in the app's file changes.

    Raises Invalid for a component that cannot have several, NotHealthy if one that was started does not respond.
    """
    app, component = target_of(app, component, s)
    with lease(app, "scale", s, options) as token:
        recover(app, s, token)
        facts = observe(app, s)
        require_revision(facts, options)
        target = _target(facts)
        one = _component(target, component)
        if _has(facts, target, one, replicas):
            return _done(app, target, one, replicas, changed=False)
        _require_scalable(target, one)
        require_engine(facts)
        wanted = scaled(facts, one, replicas)
        plan = plan_scale(wanted, wanted.releases[target.number], one.name, replicas)
        walk = walk_plan(plan, wanted, s, token=token, options=options)
        return replace(_done(app, target, one, replicas, changed=True), details=tuple(walk.warnings))


def preview_scale(app: AppName, replicas: int, s: Services, *, component: ComponentName | None = None,
                  options: ChangeOptions = ChangeOptions()) -> Preview:
    """Return the plan that `scale` would carry out now, and change nothing."""
    app, component = target_of(app, component, s)
    facts = observe(app, s)
    require_revision(facts, options)
    target = _target(facts)
    one = _component(target, component)
    if _has(facts, target, one, replicas):
        return Preview(plan_nothing(facts, PlanKind.SCALE, target, _sentence(app, target, one, replicas)))
    _require_scalable(target, one)
    wanted = scaled(facts, one, replicas)
    return Preview(plan_scale(wanted, wanted.releases[target.number], one.name, replicas))


def _target(facts: AppFacts) -> Release:
    """Return the release whose components are meant: the live one, else the last one that has containers."""
    numbers = [facts.app.active, *sorted(facts.kept, reverse=True)]
    found = next((facts.releases[n] for n in numbers if n is not None and n in facts.releases), None)
    if found is None:
        app = facts.app.name
        raise NotFound(f"{app} has no version that could be scaled.", remedy=[f"deployctl upgrade {app} VERSION"])
    return found


def _component(release: Release, name: ComponentName | None) -> Component:
    """Return the component that is meant. Raises NotFound with those that there are."""
    if name is None:
        return release.components[0]
    for one in release.components:
        if one.name == name:
            return one
    names = ", ".join(sorted(one.name for one in release.components))
    raise NotFound(f"{release.version} of {release.app} has no component {name}; it has {names}.",
                   remedy=[f"deployctl status {release.app}"])


def _has(facts: AppFacts, release: Release, component: Component, replicas: int) -> bool:
    """Return whether there are to be that many, and none more is left of an earlier change."""
    if component.is_job or release.replicas(component) != replicas:
        return False
    return not any(facts.is_surplus(one) for one in facts.instances if one.component == component.name)


def _require_scalable(release: Release, one: Component) -> None:
    """Raises Refused for a kind of which only one may run, Invalid for one whose siblings know its address."""
    if one.is_job or not one.may_run_several:
        raise Refused(f"{one.name} of {release.app} is {one.kind}: exactly one of it runs. Nothing was changed.",
                      code="not_scalable")
    if one.replicas is None:
        where = f"[components.{one.name}]" if one != release.components[0] else "the top"
        raise Invalid(f"{one.name} of {release.app} was created as the only one of its kind: the others know its address. "
                      "Nothing was changed.", code="replicas_not_written",
                      remedy=[f"write replicas = 1 at {where} of config/{release.app}.toml",
                              f"deployctl upgrade {release.app} {release.version}"])


def _sentence(app: AppName, release: Release, one: Component, replicas: int) -> str:
    name = f"{app}/{one.name}" if release.components[1:] else app
    written = f" (its file says {one.replicas})" if one.replicas not in {None, replicas} else ""
    return f"{name} runs with {replicas} replica{'s' * (replicas != 1)}{written}"


def _done(app: AppName, release: Release, one: Component, replicas: int, *, changed: bool) -> Done:
    return Done("Scale", app, _sentence(app, release, one, replicas), changed=changed,
                extra={"component": one.name, "replicas": replicas, "written": one.replicas})
