"""What a rollback without a version would do now, as `status` shows it: to which release, how fast, and what that
restores."""

from __future__ import annotations

from deployctl.dataclass import replace
from deployctl.domain.change.readiness import How
from deployctl.domain.change.serving import find_previous, release_name
from deployctl.domain.inputs.names import AppName
from deployctl.usecases.read_facts import remembered, require_app
from deployctl.usecases.results import Back
from deployctl.usecases.view.diff import changed_names
from deployctl.usecases.view.readiness import judge_release

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import Services
    from deployctl.usecases.results import AppView
    from deployctl.usecases.view.readiness import Around


def with_next_rollback(view: AppView, around: Around, s: Services) -> AppView:
    """Return the view with the version that `rollback` would choose; too expensive for every app of a list."""
    app = require_app(AppName(view.app), s)
    serving = view.active.release if view.active else app.active  # the next change starts from where HAProxy routes
    facts = remembered(replace(app, active=serving), s)
    back, releases = find_previous(facts), facts.releases
    if back is None:
        return view
    ready = next((v.readiness for v in view.instances if v.release == back.number), None)
    ready = ready or judge_release(back, None, None, app, around, s)
    active = releases.get(serving or 0)
    return replace(
        view, rollback=Back(back.version, back.number, release_name(back, releases.values()), ready.how is How.WARM,
                            changed_names(active.bundle, back.bundle) if active else (), ready))
