"""Where forms and API meet the verbs: one place that says which use case a word means, and whom it is done for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import g

from deployctl.dataclass import dataclass, field, replace
from deployctl.domain.host.access import Role
from deployctl.domain.images.image_source import PullPolicy
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import Invalid, NotPermitted
from deployctl.ports import Services
from deployctl.usecases.change.abort import abort
from deployctl.usecases.change.annotate import remark
from deployctl.usecases.change.hold import hold, unhold
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.start import start
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.undo import undo
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.results import Done, Moved
from deployctl.usecases.steps.options import Wish
from deployctl_web.live.jobs import Job
from deployctl_web.security.rights import Right
from deployctl_web.state import desk

GLANCE = 0.7  # seconds within which a refusal is known
SWITCH = 3.0  # seconds within which a move to a warm version is confirmed, or something is wrong


@dataclass(frozen=True, slots=True)
class Words:
    """What was asked along with the verb. `version` is the one to go to; `abort` overtakes what is under way."""

    version: Version | None = None
    release: int | None = None  # a rollback to that very one
    image: str | None = None
    any_image: bool = False  # not only what the app's file names: for admins of the server, which `perform` finds out
    env: Mapping[str, str] = field(default_factory=dict)
    abort: bool = False
    pull: PullPolicy | None = None  # None: what the app's file says

    @property
    def the_version(self) -> Version:
        """Return it. Raises Invalid when none was named."""
        if self.version is None:
            raise Invalid("Name a version. Nothing was done.", code="usage")
        return self.version


Act = Callable[[AppName, Words, Wish, Services], Moved | Done]

ACTS: dict[str, Act] = {
    "upgrade": lambda app, w, wish, s: upgrade(app, w.the_version, s, wish=wish, image=w.image, env=w.env,
                                               pull=w.pull, any_image=w.any_image),
    "rollback": lambda app, w, wish, s: rollback(app, s, version=w.version, release=w.release, wish=wish, abort=w.abort),
    "undo": lambda app, w, wish, s: undo(app, s, wish=wish),
    "start": lambda app, w, wish, s: start(app, w.the_version, s, wish=wish, image=w.image, pull=w.pull,
                                           any_image=w.any_image),
    "stop": lambda app, w, wish, s: stop(app, w.the_version, s, wish=wish),
    "hold": lambda app, w, wish, s: hold(app, w.the_version, s, wish=wish),
    "unhold": lambda app, w, wish, s: unhold(app, w.the_version, s, wish=wish),
    "abort": lambda app, w, wish, s: abort(app, s, wish=wish),
    "prune": lambda app, w, wish, s: prune(app, s, wish=wish),
    "remark": lambda app, w, wish, s: remark(app, s, wish=wish),
}
_AT_ONCE = frozenset({"rollback", "undo", "hold", "unhold"})


def perform(verb: str, app: AppName, words: Words, wish: Wish) -> Moved | Done | Job:
    """Do it in the name of whoever asks. What is not done within a moment goes on as a job, which is returned.

    Raises what the use case raises, when it does so within that moment.
    """
    if verb in {"upgrade", "start", "stop", "hold", "unhold"}:
        words.the_version  # noqa: B018  before a thread is begun for nothing
    wish = replace(wish, still_may=_still_may(g.right, app))
    words = replace(words, any_image=g.who.may(Role.ADMIN, None))
    job = desk().jobs.begin(verb, app, g.who.actor, lambda s: ACTS[verb](app, words, wish, s))
    return job.outcome() if job.wait(SWITCH if verb in _AT_ONCE else GLANCE) else job


def _still_may(right: Right, app: AppName) -> Callable[[Services], None]:
    def require(s: Services) -> None:
        now = right.ask(s)
        if now is None or not now.may(Role.DEPLOYER, app):
            raise NotPermitted(f"{right.who.name} may not change {app} any more. Nothing was changed.", code="rights_changed")

    return require
