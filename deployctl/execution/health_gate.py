"""Checks a candidate's health from outside, or gathers the evidence of why it is not healthy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deployctl.dataclass import dataclass, field
from deployctl.domain.change.planner import spoken
from deployctl.domain.change.probes import AnswerCode, Health, HealthReason, Transcript
from deployctl.domain.images.component import instance_name
from deployctl.domain.images.image_ref import is_made_of, short_digest
from deployctl.domain.images.release import ProbeKind
from deployctl.domain.proxy.request_counts import lately
from deployctl.domain.proxy.traffic import Counters
from deployctl.errors import DeployctlError, EngineUnavailable, NotHealthy
from deployctl.ports import ProbeAnswer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.diagnosis import Evidence
    from deployctl.domain.images.release import App, Bundle, Instance, Probe, Release
    from deployctl.ports import ContainerFacts, Services

CANDIDATE_INTERVAL = 0.1  # seconds between probes of a candidate; the configured interval is for live versions
IMAGE_INTERVAL = 0.25  # seconds between runs of the image's own check: each is a process more in the container
LOG_LINES = 50
KILLED = 137  # 128 + SIGKILL
OOM_MOMENT = 0.3  # seconds; Docker 20.10 was observed to set OOMKilled shortly after the exit


@dataclass(slots=True)
class HealthGate:
    """One candidate being checked. `check` raises if the check must end for another reason."""

    release: Release
    instance: Instance
    services: Services
    check: Callable[[], None]
    active: Release | None = None
    just_seen: bool = False  # was just seen running at its own address: the first probe need not read that again
    engine_away: bool = False  # already known: do not wait for it again
    app: App | None = None  # already read
    transcript: Transcript = field(default_factory=Transcript)
    last: ProbeAnswer | None = None
    asked: int = 0
    good: int = 0
    last_bad: str = ""
    unanswered: int = 0  # client requests, if none of them got a response
    proven: bool = False
    seen: ContainerFacts | None = None
    restarts: int | None = None  # the baseline: as many as there were at the first reading
    started: float = 0.0
    health: Health = field(default_factory=lambda: Health(rise=1, fall=1))  # while it is watched

    @property
    def bundle(self) -> Bundle:
        return self.release.component(self.instance.component).bundle

    @property
    def probe(self) -> Probe:
        return self.bundle.probe

    @property
    def name(self) -> str:
        return instance_name(self.release, self.instance.id)

    def until_ready(self) -> str:
        """Return once `rise` probes in a row were good. Raises NotHealthy at the deadline or on exit."""
        clock, health = self.services.clock, Health(rise=self.probe.rise, fall=self.probe.fall)
        if self.probe.kind in {ProbeKind.DOCKER, ProbeKind.PROCESS}:
            health = Health(rise=1, fall=self.probe.fall)  # the engine has counted already
        self.started = clock.now()
        end = self.started + self.probe.start_grace + max(self.probe.deadline, self.probe.uptime + 1.0)
        while True:
            answer = self.ask()
            health = health.seen(ok=answer.ok)
            if health.ready:
                return f"{spoken(self.probe)} {health.good} of {health.rise} good answers"
            self.check()
            if clock.now() >= end:
                raise self.failure()
            self.services.report.detail(f"{answer.sentence}  {health.good} of {health.rise} good answers")
            clock.sleep(IMAGE_INTERVAL if self.probe.kind is ProbeKind.DOCKER else CANDIDATE_INTERVAL)

    def quick(self) -> str:
        """Return at the first good response of a release that was health-checked before; `fall` bad ones raise
        NotHealthy."""
        health, self.proven = Health(rise=1, fall=self.probe.fall), True
        self.started = self.services.clock.now()
        while not health.failing:
            answer = self.ask()
            health = health.seen(ok=answer.ok)
            if health.ready:
                return f"{answer.sentence} in {answer.ms:.0f} ms"
            self.services.clock.sleep(CANDIDATE_INTERVAL)
        raise self.failure()

    def watch(self, seconds: float, others: Sequence[HealthGate] = ()) -> str:
        """Keep probing under traffic, all replicas; `fall` bad responses of one in a row or an exit raise NotHealthy."""
        clock, before, every = self.services.clock, self._counted(), (self, *others)
        due = began = clock.now()
        for one in every:
            one.begin_watch(began)
        while clock.now() - began < seconds:
            asks = clock.now() >= due
            for one in every:
                one.watch_once(asks=asks)
            if asks:
                due += min(self.probe.interval, 1.0)
                self._require_answers(before)
            self.check()
            clock.sleep(CANDIDATE_INTERVAL)
        self._require_answers(before)
        return f"{sum(one.transcript.total for one in every)} probes in {seconds:g} s"

    def begin_watch(self, at: float) -> None:
        self.started, self.proven, self.health = at, True, Health(rise=1, fall=self.probe.fall)

    def watch_once(self, *, asks: bool) -> None:
        """Probe it, or only look at its container: an exit is noticed immediately, until then clients get errors."""
        if asks:
            self.health = self.health.seen(ok=self.ask().ok)
        else:
            self._look()
        if self.health.failing:
            raise self.failure()

    def _counted(self) -> Counters | None:
        """Return what HAProxy counted for it; None if it cannot be read: then only the probe counts."""
        try:
            return self.services.traffic.counters().get((self.release.app, self.release.number), Counters())
        except DeployctlError:
            return None

    def _require_answers(self, before: Counters | None) -> None:
        """Raise NotHealthy if clients get nothing, whatever it returns to its probe."""
        from deployctl.domain.proxy.quality import answers_nobody

        now = self._counted()
        if before is None or now is None or not answers_nobody(recent := lately(before, now)):
            return
        self.unanswered = recent.failed
        raise self.failure()

    def ask(self) -> ProbeAnswer:
        """Probe once; an exit, a restart or an address that is not its own ends the check immediately."""
        self._look()
        answer = self._answer()
        self.last, self.transcript = answer, self.transcript.seen(answer.sentence)
        self.asked, self.good = self.asked + 1, self.good + answer.ok
        self.last_bad = self.last_bad if answer.ok else answer.sentence
        return answer

    def _look(self) -> None:
        """Read the container from the engine. Without the engine only the probe counts."""
        inside = self.probe.kind in {ProbeKind.EXEC, ProbeKind.DOCKER, ProbeKind.PROCESS}
        if (self.engine_away or self.just_seen) and not inside:
            self.just_seen = False
            return
        try:
            seen = self.services.engine.find_container(self.instance.container or self.instance.name)
        except EngineUnavailable:
            if inside:
                raise
            return
        if seen is None:
            raise NotHealthy(f"the container of {self.name} was removed by someone")
        self.restarts = seen.restarts if self.restarts is None else self.restarts
        self.seen = seen
        if not seen.running or seen.restarts > self.restarts:
            raise self.failure()
        require_own_image(self.release, self.bundle, seen)
        require_own_address(self.instance, seen)

    def _answer(self) -> ProbeAnswer:
        match self.probe.kind:
            case ProbeKind.DOCKER:
                from deployctl.execution.image_healthcheck import ask_image

                if self.seen and self.seen.health == "unhealthy":
                    raise self.failure()
                return ask_image(self.seen, self.services.engine)
            case ProbeKind.EXEC:
                return self._execute()
            case ProbeKind.PROCESS:
                up = self.services.clock.now() - self.started
                return ProbeAnswer(self.proven or up >= self.probe.uptime, f"running for {up:.1f} s")
        return ask_from_outside(self.services, self.release, self.instance, self.app)

    def _execute(self) -> ProbeAnswer:
        started = self.services.clock.now()
        done = self.services.engine.execute(
            self.instance.container or self.instance.name, self.probe.command or (), timeout=self.probe.timeout)
        ms = (self.services.clock.now() - started) * 1000
        output = done.output.strip().splitlines()[-1:] or ["no output"]
        return ProbeAnswer(done.exit_code == 0, f"{spoken(self.probe)} ended with {done.exit_code}: {output[0][:120]}", ms,
                      exit_code=done.exit_code, code=AnswerCode.COMMAND_FAILED if done.exit_code else None)

    def failure(self) -> NotHealthy:
        """Return the error with everything that people need: cause, transcript, exit, last lines."""
        from deployctl.domain.change.diagnosis import FailureCause, diagnose

        evidence = self._evidence()
        found = diagnose(evidence)
        app, version = self.release.app, self.release.version
        likely = f" Likely: {found.likely}." if found.likely else ""
        error = NotHealthy(f"{found.headline}.{likely}", remedy=[f"deployctl logs {app} {version}"])
        error.cause, error.why = found.cause, f"{found.why}.{likely}"
        if self.unanswered:
            error.code = HealthReason.NONE_ANSWERED
            error.remedy = [f"deployctl logs {app} --proxy", *error.remedy]
        if self.active and found.cause is FailureCause.LOST_ENV:
            error.remedy.append(f"deployctl diff {app} {self.active.version} {version}")
        if evidence.logs:
            error.details += [f"Last lines of {self.name}:", *(f"  {line}" for line in evidence.logs[-10:])]
        error.details += ["Probes:", *(f"  {line}" for line in self.transcript.lines()[-10:])] if self.transcript.total else []
        return error

    def _evidence(self) -> Evidence:
        from deployctl.domain.change.diagnosis import Evidence

        seen = self._last_look()
        return Evidence(
            version=self.name, bundle=self.bundle, answers=self.transcript.groups,
            asked=self.asked, good=self.good, last_bad=self.last_bad, proven=self.proven,
            last_good=bool(self.last and self.last.ok), last_code=self.last.code if self.last else None,
            status=self.last.status if self.last else None, location=self.last.location if self.last else None,
            seconds=self.services.clock.now() - self.started,
            running=bool(seen and seen.running), exit_code=seen.exit_code if seen else None,
            oom_killed=bool(seen and seen.oom_killed), restarted=bool(seen and seen.restarts > (self.restarts or 0)),
            health_output=(seen and seen.health_output) or self._printed(),
            healthcheck_times=seen.healthcheck_times if seen else None,
            probe_exit=self.last.exit_code if self.last else None,
            listening=tuple(self.services.guard.listening(seen.pid)) if seen and seen.pid else (),
            logs=tuple(last_lines(self.services, self.instance)),
            unanswered=self.unanswered,
            active_version=self.active.version if self.active else None,
            active_env=frozenset(name for name, _ in self.active.bundle.env) if self.active else frozenset(),
        )

    def _printed(self) -> str:
        """Return what the image's own check printed when we ran it."""
        return self.last_bad if self.probe.kind is ProbeKind.DOCKER and self.last and self.last.exit_code else ""

    def _last_look(self) -> ContainerFacts | None:
        """Read once more; a kill that the engine has not explained yet gets a moment to become an OOM kill."""
        try:
            seen = self.services.engine.find_container(self.instance.container or self.instance.name)
            if seen and seen.exit_code == KILLED and not seen.running and not seen.oom_killed:
                self.services.clock.sleep(OOM_MOMENT)
                seen = self.services.engine.find_container(seen.id) or seen
        except DeployctlError:
            return self.seen
        return seen


def ask_from_outside(s: Services, release: Release, instance: Instance, app: App | None = None) -> ProbeAnswer:
    """Probe an instance once by HTTP or TCP, by the route that HAProxy uses."""
    bundle, app = release.component(instance.component).bundle, app or s.ledger.find_app(release.app)
    address, port = (instance.address, bundle.port) if s.bridged else ("127.0.0.1", instance.host_port)
    probe = bundle.probe
    assert port is not None  # noqa: S101  one that takes no requests is not asked
    return s.prober.ask(probe, address, port, host=probe.host or release.app,
                        bridge=app.network_of(instance).bridge if app and s.bridged else None)


def require_own_image(release: Release, bundle: Bundle, seen: ContainerFacts) -> None:
    """Raise NotHealthy unless the container was created from the image that was health-checked."""
    if not is_made_of(seen.image, bundle):
        raise NotHealthy(f"container {seen.name} is made of the image {short_digest(seen.image)} and not of that of "
                         f"{release.version}, {short_digest(bundle.digest)}: someone recreated it",
                         remedy=[f"deployctl reconcile {release.app}"])


def require_own_address(instance: Instance, seen: ContainerFacts) -> None:
    """Raise NotHealthy unless the running container has the address that the ledger leased to it."""
    if seen.addresses and instance.address not in seen.addresses.values():
        raise NotHealthy(f"container {seen.name} answers on {', '.join(seen.addresses.values())} and not on its own "
                         f"{instance.address}: someone reconnected it", remedy=["deployctl doctor"])


def last_lines(s: Services, instance: Instance) -> list[str]:
    """Return the last log lines, none if the engine cannot provide them."""
    try:
        return [line.text for line in s.engine.logs(instance.container or instance.name, tail=LOG_LINES)]
    except DeployctlError:
        return []
