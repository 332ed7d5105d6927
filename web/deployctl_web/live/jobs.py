"""What takes longer than a click: the same use cases, in a thread of this process, with their progress published."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread

from deployctl.dataclass import dataclass, field
from deployctl.domain.change.plan import Plan, Step
from deployctl.domain.host.actor import Actor, Via
from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError
from deployctl.memory import Bounded
from deployctl.ports import Clock, Services
from deployctl.usecases.results import Done, Moved
from deployctl.verbs.table import VERBS
from deployctl_web.services_pool import ServicesPool, find_address

MAX_KEPT_JOBS = 200  # jobs that can still be queried, besides those in progress
MAX_JOBS_BYTES = 4 * 2**20  # bytes that they may take
UNDER_WAY = 64  # jobs at a time: what does not respond occupies a thread for each

BACK = frozenset(name for name, verb in VERBS.items() if verb.goes_back)  # these are always started

JobAction = Callable[[Services], Moved | Done]


@dataclass(slots=True)
class Job:
    """One verb in progress, or how it ended: with a result or with an error."""

    verb: str
    app: AppName
    actor: str
    started_at: str  # ISO 8601, UTC
    address: str | None = None  # of the requesting client
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    deployment: int | None = None
    step: str = ""  # sentence of the step in progress
    detail: str = ""  # its latest detail: 2 of 3 good probes
    result: Moved | Done | None = None
    error: DeployctlError | None = None  # never the one that was raised: it would keep everything that was read for it
    ended_at: str | None = None
    _ended: Event = field(default_factory=Event)

    @property
    def done(self) -> bool:
        return self._ended.is_set()

    @property
    def over(self) -> bool:
        """Return whether it has ended; waiters on `done` continue only after that was published."""
        return self.result is not None or self.error is not None

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended, after that many seconds at the latest."""
        return self._ended.wait(seconds)

    def outcome(self) -> Moved | Done:
        """Return its result, once it is done. Raises its error."""
        if self.error is not None:
            raise self.error.untraced()
        assert self.result is not None  # noqa: S101  done, and no error
        return self.result


class TooManyJobs(DeployctlError):
    """Too many jobs are in progress to start another one."""

    code = "too_many_requests"


class JobProgress:
    """The reporter of one job: what a terminal would show is stored in the job and published."""

    def __init__(self, job: Job, publish: Callable[[Job], None], s: Callable[[], Services]) -> None:
        self._job, self._publish, self._services = job, publish, s

    def plan(self, plan: Plan) -> None:
        """Say nothing before something is done."""

    def begin(self, step: Step) -> None:
        if self._job.deployment is None:
            opened = self._services().ledger.find_open(self._job.app)
            self._job.deployment = opened.id if opened else None
        self._job.step, self._job.detail = step.sentence, ""
        self._publish(self._job)

    def detail(self, text: str, step: Step | None = None) -> None:
        if step is not None:  # one of several in progress
            self._job.step = step.sentence
        self._job.detail = text[:300]
        self._publish(self._job)

    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None:
        self._job.step, self._job.detail = "", ""
        self._publish(self._job)

    def warn(self, text: str) -> None:
        self._job.detail = text[:300]
        self._publish(self._job)


class Jobs:
    """The jobs of this process, including the latest ones that ended. `told` is called with each progress, in the job's
    thread."""

    def __init__(self, pool: ServicesPool, publish: Callable[[Job], None], clock: Clock, *, kept: int = MAX_KEPT_JOBS,
                 last_wait: float) -> None:
        self._pool, self._publish, self._clock, self._last_wait = pool, publish, clock, last_wait
        self._under_way: dict[str, Job] = {}
        self._ended: Bounded[str, Job] = Bounded(MAX_JOBS_BYTES, entries=kept)
        self._lock = Lock()

    @property
    def bytes(self) -> int:
        return self._ended.bytes

    def begin(self, verb: str, app: AppName, actor: str, act: JobAction) -> Job:
        """Return at once; the job continues by itself. Raises TooManyJobs, never for what brings traffic back."""
        with self._pool.lend(actor) as s:
            job = Job(verb, app, actor, s.clock.utc(), address=find_address())
        with self._lock:
            if len(self._under_way) >= UNDER_WAY and verb not in BACK:
                raise TooManyJobs(f"{UNDER_WAY} operations are already in progress. Nothing was done.",
                                  remedy=["deployctl status", "retry in a moment"])
            self._under_way[job.id] = job
        Thread(target=self._run, args=(job, act), name=f"{verb} {app}", daemon=True).start()
        return job

    def find(self, id_: str) -> Job | None:
        with self._lock:
            return self._under_way.get(id_) or self._ended.find(id_)

    def under_way(self, app: AppName) -> list[Job]:
        """Return what is being done to the app, latest first."""
        with self._lock:
            return [job for job in reversed(self._under_way.values()) if job.app == app]

    def close(self) -> None:
        """Ask what is in progress to stop, and wait a little: before its switch everything is reverted."""
        with self._lock:
            under_way = [*self._under_way.values()]
        for job in under_way:  # an unreachable or full ledger keeps nobody from ending
            with suppress(DeployctlError), self._pool.lend(Actor("the end of deployctl serve", Via.WEB)) as s:
                s.ledger.ask_abort(job.app, actor=s.actor)
        end = self._clock.now() + self._last_wait
        for job in under_way:
            job.wait(max(0.0, end - self._clock.now()))

    def _run(self, job: Job, act: JobAction) -> None:
        lent: list[Services] = []
        try:
            with self._pool.lend(job.actor, JobProgress(job, self._publish, lambda: lent[0]), address=job.address) as s:
                lent.append(s)
                try:
                    job.result = act(s)
                finally:
                    job.ended_at = s.clock.utc()
        except DeployctlError as e:
            job.error = e.untraced()
        finally:  # any other crash is in the process's own log by name and line; the requester must not wait forever
            if job.result is None and job.error is None:
                job.error = DeployctlError(f"internal error in deployctl during {job.verb} {job.app}.",
                                           remedy=[f"deployctl status {job.app}"], code="internal")
            self._publish(job)
            with self._lock:
                del self._under_way[job.id]
                self._ended.put(job.id, job)
            job._ended.set()
