"""Every release of an app for choosing among them: what it is, and what can be done with it now, or why not.

`versions` reads the ledger alone, beside a status that was read before; `find_idle` queries the engine, which may take
long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from deployctl.dataclass import dataclass, field, replace
from deployctl.domain.change.facts import AppFacts
from deployctl.domain.change.plan import PlanKind
from deployctl.domain.change.readiness import Code, How, Standing, judge
from deployctl.domain.change.serving import find_meant, release_name
from deployctl.domain.images.release import ReleaseRole
from deployctl.domain.inputs.names import AppName
from deployctl.usecases.read_facts import require_app
from deployctl.usecases.view.readiness import find_readiness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.change.readiness import Readiness
    from deployctl.domain.images.release import Change, Hold, Release
    from deployctl.ports import Services
    from deployctl.usecases.results import AppView, InstanceView

MAX_VERSIONS_SHOWN = 20  # releases, besides those that have a container
MAX_DEPLOYMENTS_SEARCHED = 100  # deployments searched for who deployed what
MEANS_ANOTHER = "means_another_release"  # its version names a release that was created since


class Way(StrEnum):
    """What can be done with a release now."""

    SERVING = "serving"
    TRIAL = "trial"
    BACK = "back"  # a rollback can go to it
    FORTH = "forth"  # it came after the live one: an upgrade goes to it
    RETRY = "retry"  # it never went live; another attempt is an upgrade
    HELD = "held"  # first the hold must be released
    NONE = "none"


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One release. `asks`: switching to it is slow, far or doubtful, so the user is asked first. `why` says why not, or
    what to note."""

    release: int  # number
    version: str
    name: str  # its unambiguous name: its version, or VERSION@RELEASE
    image: str
    digest: str
    role: str
    state: str  # as text
    more: str
    way: Way
    asks: bool = False
    why: str = ""
    code: str | None = None  # of `why`: a readiness Code, or MEANS_ANOTHER
    colour: str | None = None
    how: How | None = None
    seconds: float | None = None
    hold: Hold | None = None
    failure: str | None = None
    deployed_at: str | None = None
    deployed_by: str = ""
    note: str = ""
    siblings: int = 0  # other releases of the same version


@dataclass(frozen=True, slots=True)
class VersionsView:
    app: str
    lines: tuple[VersionLine, ...]
    left_out: bool  # there are more
    meant: Mapping[str, int] = field(default_factory=dict)  # version → the release that a rollback to it means

    def find(self, version: str) -> VersionLine | None:
        """Return the line that a rollback to that version would mean, else its first one."""
        return self.at(self.meant.get(version)) or next((line for line in self.lines if line.version == version), None)

    def at(self, release: int | None) -> VersionLine | None:
        return next((line for line in self.lines if line.release == release), None)


def versions(view: AppView, s: Services, *, idle: Iterable[Readiness] = (), limit: int = MAX_VERSIONS_SHOWN) -> VersionsView:
    """Return the app's releases, live and standby first, then newest first; `idle` is the result of `find_idle`."""
    app = AppName(view.app)
    found = s.ledger.releases(app, limit=limit + 1)
    known = {r.number for r in found[:limit]}
    others = [s.ledger.find_release(app, i.release) for i in view.instances if i.release not in known]
    releases = [*found[:limit], *(r for r in others if r)]
    deployed = _last_deployed(s.ledger.deployments(app, limit=MAX_DEPLOYMENTS_SEARCHED))
    changes = s.ledger.telling_changes(app)
    judged = {one.release: one for one in idle} | {i.release: i.readiness for i in view.instances if i.readiness}
    lines = [_line(r, view, judged.get(r.number), deployed.get(r.number), changes, releases) for r in releases]
    return VersionsView(view.app, tuple(sorted(lines, key=_order)), left_out=len(found) > limit,
                        meant=_meant(view, releases, changes, s))


def _meant(view: AppView, releases: Sequence[Release], changes: Sequence[Change], s: Services) -> Mapping[str, int]:
    """Return which release a rollback to each version means, by the function that decides it."""
    serving = view.active.release if view.active else None
    facts = AppFacts(replace(require_app(AppName(view.app), s), active=serving), {r.number: r for r in releases},
                  changes=tuple(changes))
    found = ((r.version, find_meant(facts, r.version)) for r in releases)
    return {version: meant.number for version, meant in found if meant}


def find_idle(app: AppName, s: Services, *, limit: int = MAX_VERSIONS_SHOWN) -> list[Readiness]:
    """Return whether the newest releases without a container can be rolled back to. Queries the engine for each."""
    with_container = {i.release for i in s.ledger.instances(app)}
    numbers = [r.number for r in s.ledger.releases(app, limit=limit) if r.number not in with_container]
    return find_readiness(app, s, among=numbers) if numbers else []


def _order(line: VersionLine) -> tuple[int, int]:
    first = (ReleaseRole.ACTIVE, ReleaseRole.CANDIDATE, ReleaseRole.STANDBY)
    return (first.index(ReleaseRole(line.role)) if line.role in first else len(first), -line.release)


def _last_deployed(deployments: Sequence[Deployment]) -> Mapping[int, Deployment]:
    """Return for each release its last upgrade, else whatever last started it."""
    found: dict[int, Deployment] = {}
    for one in reversed(deployments):
        if one.target is None or one.kind not in {PlanKind.UPGRADE, PlanKind.START, PlanKind.ROLLBACK, PlanKind.UNDO}:
            continue
        if one.kind == PlanKind.UPGRADE or one.target not in found:
            found[one.target] = one
    return found


def _line(release: Release, view: AppView, ready: Readiness | None, deployed: Deployment | None,
          changes: Sequence[Change], releases: Sequence[Release]) -> VersionLine:
    one = next((i for i in view.instances if i.release == release.number), None)
    role = one.role if one else ReleaseRole.IDLE
    ready = ready or judge(Standing(release))
    same = [r for r in releases if r.version == release.version]
    way, why, code = _way(release, role, ready, view, changes, same)
    state, more = _words(release, one, role, ready, way, backing=view.is_backing)
    return VersionLine(
        release.number, release.version, release_name(release, releases), release.bundle.image, release.digest, role,
        state, more, way,
        asks=_asks(release, ready, view, way), why=why, code=code, colour=release.colour, how=ready.how, seconds=ready.seconds,
        hold=release.hold, failure=release.failure, siblings=len(same) - 1,
        deployed_at=deployed.started_at if deployed else release.created_at,
        deployed_by=deployed.actor if deployed else "", note=deployed.note if deployed else "")


# -- what can be done with it --------------------------------------------------------------------------------------------
def _way(release: Release, role: str, ready: Readiness, view: AppView, changes: Sequence[Change],
         same: Sequence[Release]) -> tuple[Way, str, str | None]:
    if role == ReleaseRole.ACTIVE:
        return Way.SERVING, "", None
    if role == ReleaseRole.CANDIDATE:
        return Way.TRIAL, "", None
    if release.hold:
        return Way.HELD, f"on hold since {release.hold.at} by {release.hold.actor}: {release.hold.reason}", Code.ON_HOLD
    if not release.proven_at:
        return Way.RETRY, release.failure or "it never passed its health check", Code.NEVER_PROVEN
    if not ready.ready:
        return Way.NONE, ready.why or "it cannot be rolled back to", ready.code
    if _is_behind(release, view, changes):
        return Way.BACK, ready.why or "", ready.code
    newest = max(r.number for r in same if r.proven_at)
    if release.number != newest:  # an upgrade goes to a version, by the app's file: it does not lead to this one
        return Way.NONE, f"{release.version} now means release {newest}", MEANS_ANOTHER
    return Way.FORTH, ready.why or "", ready.code


def _is_behind(release: Release, view: AppView, changes: Sequence[Change]) -> bool:
    """Return whether going there is a rollback: by the traffic history, by the number for what was never live."""
    active = view.active.release if view.active else None
    if active is None or release.number == view.rollback_release:
        return True
    chain = changes[0].chain if changes else ()
    behind = chain[: len(chain) - chain[::-1].index(active) - 1] if active in chain else ()
    return release.number in behind or release.number < active


def _asks(release: Release, ready: Readiness, view: AppView, way: Way) -> bool:
    """One click is for the version that was live before, warm and healthy; everything else is worth a question."""
    if way is Way.FORTH:
        return ready.how is not How.WARM
    return ready.how is not How.WARM or bool(ready.why) or (
        view.rollback is not None and release.number != view.rollback_release)


# -- text ------------------------------------------------------------------------------------------------------------------
def _words(release: Release, one: InstanceView | None, role: str, ready: Readiness, way: Way, *,
           backing: bool) -> tuple[str, str]:
    colour = f" on {release.colour}" if release.colour and not backing else ""
    if role == ReleaseRole.ACTIVE:
        return f"Live{colour}", "" if backing else f"{one.weight if one else 100} % of the traffic"
    if role == ReleaseRole.CANDIDATE:
        return "Getting ready", "" if backing else "No traffic yet"
    if way is Way.RETRY:
        return "Never went live", release.failure or "It never passed its health check"
    if way is Way.HELD:
        warm = one is not None and one.warm
        return "On hold", "Warm" if warm else "Kept" if one else "No container"
    if role == ReleaseRole.STANDBY:
        return f"Standby{colour}", _readily(ready)
    if one is not None and (one.health in {"passing", "failing"} or one.status == "running"):
        return "Runs without traffic", _readily(ready)
    return ("Image removed" if _image_gone(ready) else "Image kept"), _readily(ready)


def _image_gone(ready: Readiness) -> bool:
    return ready.how is How.PULL or ready.code is Code.IMAGE_GONE


def _readily(ready: Readiness) -> str:
    """Return how soon it could take traffic, or why it could not."""
    if not ready.ready:
        return (ready.why or "it cannot be rolled back to")[:1].upper() + (ready.why or "")[1:]
    if ready.how is How.WARM:
        return "Warm, switches at once"
    about = "" if ready.seconds is None else f" in about {max(1, round(ready.seconds))} s"
    return "Pull needed, then it starts" if ready.how is How.PULL else f"Starts{about}" if about else "Has to start first"
