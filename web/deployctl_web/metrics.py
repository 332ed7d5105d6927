"""What a monitor scrapes: /metrics in Prometheus's text format, generated for each request.

Shows only the apps that the client may see. Counts of requests are since a release was first routed to, across restarts
of HAProxy and of this process; counts of switches are of the whole history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from flask import g
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from deployctl import __version__
from deployctl.dataclass import dataclass
from deployctl.domain.host.access import Role
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.traffic import Counters
from deployctl.ports import Services
from deployctl.usecases.results import AppView, InstanceView, StatusView
from deployctl_web.live.status_cache import CachedStatus
from deployctl_web.live.switch_totals import BOUNDS, Switches
from deployctl_web.server_facts import Connections, connections
from deployctl_web.state import web_state

STATE_LABELS = ("healthy", "degraded", "down", "deploying", "not_deployed", "unknown")
CLASSES = ("2xx", "3xx", "4xx", "5xx")

Series = Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class KnownApps:
    """Everything that is exported, of the visible apps. `server`: the whole server may be seen, too."""

    seen: CachedStatus[StatusView]
    apps: tuple[AppView, ...]  # with their backing components
    switches: Switches
    requests: Mapping[tuple[AppName, str], Counters]  # by app and version
    server: bool
    connections: Connections | None = None  # as on the Server page; only for users who may see that


def render(accept: str) -> tuple[bytes, str]:
    """Return the metrics in a format that the client accepts, and its media type."""
    try:
        encode, mimetype = choose_encoder(accept)
    except (TypeError, ValueError):  # an invalid version
        encode, mimetype = choose_encoder("")
    registry = CollectorRegistry()
    registry.register(_Collected(list(families(_look()))))
    return encode(registry), mimetype


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _look() -> KnownApps:
    seen = web_state().status_cache.home()
    apps = tuple(one for view in seen.value.apps if g.who.may(Role.VIEWER, AppName(view.app)) for one in (view, *view.backing))
    mine = {AppName(one.app) for one in apps}
    with web_state().pool.lend(g.who.actor) as s:
        switches = web_state().switches.read(s, mine)
        requests = _by_version({k: c for k, c in web_state().meter.totals().items() if k[0] in mine}, s)
    server = g.who.may(Role.VIEWER, None)
    return KnownApps(seen, apps, switches, requests, server=server, connections=connections() if server else None)


def _by_version(totals: Mapping[tuple[AppName, int], Counters], s: Services) -> dict[tuple[AppName, str], Counters]:
    """Return the counts of each version: two releases may have the same one."""
    found: dict[tuple[AppName, str], Counters] = {}
    for (app, number), counters in totals.items():
        if (release := s.ledger.find_release(app, number)) is not None:
            found[app, release.version] = _together(found.get((app, release.version), Counters()), counters)
    return found


def _together(one: Counters, other: Counters) -> Counters:
    return Counters(failed=one.failed + other.failed, closed=one.closed + other.closed, **{
        name: getattr(one, name) + getattr(other, name) for name in (f"answers_{kind}" for kind in CLASSES)})


def families(known: KnownApps) -> Iterator[Metric]:
    """Yield every metric with all its series."""
    yield from _of_switches(known.switches)
    yield _counter("deployctl_requests", "Requests to a version by class of the response; failed: no valid response.",
                   ("app", "version", "class"), _answered(known.requests))
    yield _counter("deployctl_closed_connections", "Long-lived connections to a version that were closed by HAProxy reloads.",
                   ("app", "version"), {key: counted.closed for key, counted in known.requests.items()})
    yield _gauge("deployctl_serving", "1 for the live version.", ("app", "version"),
                 _of_versions(known.apps, _serves))
    yield _gauge("deployctl_ready", "1 for a version that is a possible rollback target.", ("app", "version"),
                 _of_versions(known.apps, _ready))
    yield _gauge("deployctl_drift", "Number of drifts from the ledger.", ("app",),
                 {(view.app,): len(view.drift) for view in known.apps})
    yield _gauge("deployctl_state", "1 for the state of the app.", ("app", "state"),
                 {(view.app, state): float(view.state == state) for view in known.apps for state in STATE_LABELS})
    yield _gauge("deployctl_build_info", "The version of deployctl.", ("version",), {(__version__,): 1.0})
    yield _gauge("deployctl_reading_age_seconds", "Age of the status in this response.", (),
                 {(): round(known.seen.age, 3)})
    if known.server:
        answers: Series = {("docker",): known.seen.value.engine is None, ("haproxy",): known.seen.value.proxy is None}
        yield _gauge("deployctl_up", "1 for a part of the server that is responding.", ("part",), answers)
    if known.connections is not None:
        yield from _of_connections(known.connections)


def _of_connections(counts: Connections) -> Iterator[Metric]:
    yield _gauge("deployctl_dashboard_connections", "Open connections to the dashboard.", ("of",),
                 {(whose,): count for whose, count in counts.open.items()})
    ended = {**counts.rejected, "stream_displaced": counts.streams_displaced}
    yield _counter("deployctl_dashboard_turned_away", "Connections that the dashboard rejected or closed.", ("why",),
                   {(why,): count for why, count in ended.items()})


def _of_switches(switches: Switches) -> Iterator[Metric]:
    yield _counter("deployctl_switches", "Traffic switches.", ("app", "kind"),
                   {(app, kind): count for (app, kind), count in switches.counts.items()})
    histogram = HistogramMetricFamily("deployctl_switch_seconds", "How long HAProxy took to confirm a switch.", labels=("app",))
    for app, times in switches.times.items():
        buckets = [(str(bound), float(count)) for bound, count in zip(BOUNDS, times.within, strict=True)]
        histogram.add_metric([app], [*buckets, ("+Inf", float(times.count))], sum_value=times.seconds)
    yield histogram


def _answered(requests: Mapping[tuple[AppName, str], Counters]) -> Series:
    found: dict[tuple[str, ...], float] = {}
    for (app, version), counters in requests.items():
        found |= {(app, version, kind): getattr(counters, f"answers_{kind}") for kind in CLASSES}
        found[app, version, "failed"] = counters.failed
    return found


def _of_versions(apps: Iterable[AppView], holds: Callable[[AppView, InstanceView], bool]) -> Series:
    """Return 1 for each version with an instance of which that holds, else 0."""
    found: dict[tuple[str, ...], float] = {}
    for view in apps:
        for one in view.instances:
            found[view.app, one.version] = max(found.get((view.app, one.version), 0.0), float(holds(view, one)))
    return found


def _serves(view: AppView, one: InstanceView) -> bool:
    return view.active is not None and view.active.release == one.release


def _ready(view: AppView, one: InstanceView) -> bool:
    return one.readiness is not None and one.readiness.ready


def _counter(name: str, words: str, labels: tuple[str, ...], series: Series) -> Metric:
    return _filled(CounterMetricFamily(name, words, labels=labels), series)


def _gauge(name: str, words: str, labels: tuple[str, ...], series: Series) -> Metric:
    return _filled(GaugeMetricFamily(name, words, labels=labels), series)


def _filled(family: CounterMetricFamily | GaugeMetricFamily, series: Series) -> Metric:
    for labels, value in sorted(series.items()):
        family.add_metric(labels, value)
    return family
