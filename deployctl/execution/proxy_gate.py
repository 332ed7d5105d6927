"""The gate before the switch: a candidate responds through HAProxy, as clients would reach it, or clients never get
it."""

from __future__ import annotations

from collections.abc import Callable

from deployctl.domain.change.probes import Health
from deployctl.domain.proxy.gate import failed_sentence, question_of
from deployctl.domain.proxy.rejections import Cause
from deployctl.errors import NotHealthy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import App, Release
    from deployctl.ports import Services

PAUSE = 0.1  # seconds between two probes


def ask_through_proxy(release: Release, app: App, s: Services, check: Callable[[], None]) -> str:
    """Return how the release responds by the route that clients take. `fall` bad responses in a row raise NotHealthy,
    whose code is `gate_` and the cause; one timeout counts as `fall` bad responses."""
    probe = question_of(release.bundle.probe, app)
    health = Health(rise=1, fall=probe.fall)
    while True:
        answer = s.traffic.ask(app.name, release.number, probe)
        health = health.seen(ok=answer.ok)
        if answer.ok:
            return f"{answer.message} in {answer.ms:.0f} ms"
        if health.failing or answer.cause is Cause.TIMEOUT:
            raise NotHealthy(failed_sentence(release.version, answer), code=f"gate_{answer.cause}", remedy=[
                f"deployctl logs {app.name} {release.version}", f"deployctl logs {app.name} --proxy"])
        s.report.detail(answer.message)
        check()
        s.clock.sleep(PAUSE)
