"""Remove what retention does not keep: never what is live, stays warm, or is the next rollback target."""

from __future__ import annotations

from deployctl.domain.change.planner import plan_prune
from deployctl.errors import ConfirmationNeeded
from deployctl.execution.kinds import one_off
from deployctl.usecases.read_facts import observe, require_engine
from deployctl.usecases.results import Done, Preview
from deployctl.usecases.steps.execute import walk_plan
from deployctl.usecases.steps.lease import lease
from deployctl.usecases.steps.options import ChangeOptions, require_revision
from deployctl.usecases.steps.recover import recover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services


def prune(app: AppName, s: Services, *, options: ChangeOptions = ChangeOptions()) -> Done:
    """Remove containers beyond keep_stopped and failed ones, and release their images. Asks first."""
    with lease(app, "prune", s, options) as token:
        recover(app, s, token)
        facts = observe(app, s)
        require_revision(facts, options)
        plan, dead = plan_prune(facts), one_off.remove_dead(app, s) if facts.engine_away is None else 0
        if not plan.steps:
            return Done("Prune", app, plan.summary, changed=bool(dead))
        sentences = tuple(step.sentence for step in plan.steps)
        if not options.confirmed:
            raise ConfirmationNeeded("; ".join(sentences).capitalize() + ". Continue?", revision=facts.app.revision)
        require_engine(facts)
        walk_plan(plan, facts, s, token=token, options=options)
        return Done("Prune", app, f"{app} was pruned", sentences)


def preview_prune(app: AppName, s: Services, *, options: ChangeOptions = ChangeOptions()) -> Preview:
    """Return the plan that `prune` would carry out now, and change nothing."""
    facts = observe(app, s)
    require_revision(facts, options)
    return Preview(plan_prune(facts))
