"""The gate before the switch: a candidate responds through HAProxy, as clients would reach it, or clients never get
it."""

from __future__ import annotations

from collections.abc import Callable

from deployctl.domain.change.probes import Health
from deployctl.domain.images.component import instance_name
from deployctl.domain.proxy.gate import failed_sentence, question_of
from deployctl.domain.proxy.rejections import Cause
from deployctl.errors import NotHealthy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import App, Release
    from deployctl.ports import Services

PAUSE = 0.1  # seconds between two probes


def ask_through_proxy(release: Release, app: App, s: Services, check: Callable[[], None]) -> str:
    """Return how the release responds by the route that clients take, each of its replicas. `fall` bad responses in a row
    raise NotHealthy, whose code is `gate_` and the cause; one timeout counts as `fall` bad responses."""
    main = release.components[0]
    if main.replicas is None:
        return _ask_one(release, "", release.version, app, s, check)
    text = [_ask_one(release, part, instance_name(release, one), app, s, check)
            for one in release.mains for part in main.parts(one.replica)[:1]]
    return text[0] if len(text) == 1 else f"{len(text)} replicas: {text[0]}"


def _ask_one(release: Release, replica: str, name: str, app: App, s: Services, check: Callable[[], None]) -> str:
    probe = question_of(release.bundle.probe, app)
    health = Health(rise=1, fall=probe.fall)
    while True:
        answer = s.traffic.ask(app.name, release.number, probe, replica=replica)
        health = health.seen(ok=answer.ok)
        if answer.ok:
            return f"{answer.message} in {answer.ms:.0f} ms"
        if health.failing or answer.cause is Cause.TIMEOUT:
            raise NotHealthy(failed_sentence(name, answer), code=f"gate_{answer.cause}", remedy=[
                f"deployctl logs {app.name} {release.version}", f"deployctl logs {app.name} --proxy"])
        s.report.detail(answer.message)
        check()
        s.clock.sleep(PAUSE)
