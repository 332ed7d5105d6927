"""The text of `status`: one table for all apps, or one app with every instance."""

from __future__ import annotations

from deployctl.cli.rendering.tables import NONE, Column, TextTable, lay_out
from deployctl.cli.rendering.times import ago
from deployctl.cli.terminal import TerminalStyle
from deployctl.domain.durations import took
from deployctl.domain.images.component import ComponentKind
from deployctl.domain.images.image_ref import short_digest
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.usecases.results import AppView, Back, ConfigCode, InstanceView, OpenDeployment, StatusView


def status_text(view: StatusView, look: TerminalStyle, *, one: bool, home: str = "this home") -> list[str]:
    """Return the table of all apps, or the details of one."""
    if not view.apps:
        return [*_no_apps(view, look, home), "  Create one: deployctl init    Try it: deployctl demo"]
    lines = _page(view.apps[0], look) if one and len(view.apps) == 1 else lay_out(apps_table(view, look), look)
    troubles = _troubles(view, look) + [line for app in view.apps for own in (app, *app.backing) for line in _notes(own, look)]
    return lines + (["", *troubles] if troubles else []) + (_way_back(view.apps[0], look) if one else [])


def _no_apps(view: StatusView, look: TerminalStyle, home: str) -> list[str]:
    """Return which home has no apps, and other homes on this engine that may have been meant."""
    others = [f"  Another home on this engine: {other.path}, {other.containers} containers    "
              f"See: deployctl --home {other.path} status" for other in view.others]
    return [f"No apps yet in {home}.", *_troubles(view, look), *others]


def _troubles(view: StatusView, look: TerminalStyle) -> list[str]:
    away = [f"{look.warn} Docker: {view.engine}"] if view.engine else []
    away += [f"{look.warn} HAProxy: {view.proxy}"] if view.proxy else []
    return away


def _notes(app: AppView, look: TerminalStyle) -> list[str]:
    drift = app.untold_drifts
    lines = [f"{look.warn} {line}" for line in (*(note.line for note in app.notes), *(one.sentence for one in drift))]
    if any(one.repair for one in drift) and not look.quiet:
        lines.append(f"  Fix: deployctl reconcile {app.app}")
    lines += _config(app, look)
    if app.state in {"degraded", "down"} and app.rollback and not look.quiet:
        lines.append(f"  Roll back to {app.rollback.name}{_meaning(app.rollback)}: deployctl rollback {app.app}")
        lines += _brings(app.rollback)
    return lines


def _config(app: AppView, look: TerminalStyle) -> list[str]:
    """Return the changes in the app's file that are not deployed."""
    from deployctl.cli.rendering.change import difference

    state = app.config
    if state is None or state.code not in {ConfigCode.CHANGED, ConfigCode.WRONG}:
        return []
    if state.code is ConfigCode.WRONG:
        return [f"{look.warn} config/{owner_of(AppName(app.app))}.toml cannot be deployed: {state.why}"]
    version = app.active.version if app.active else "VERSION"
    lines = [f"{look.warn} config/{owner_of(AppName(app.app))}.toml has changes that are not deployed:"]
    lines += [f"    {difference(line)}" for line in state.lines]
    return lines + ([] if look.quiet else [f"  Deploy: deployctl upgrade {app.app} {version}"])


def _meaning(back: Back) -> str:
    """Return in brackets what the rollback would take, unless it is instant."""
    from deployctl.cli.rendering.ready import ready_words

    return "" if back.warm else f" ({ready_words(back.readiness)})"


def _way_back(app: AppView, look: TerminalStyle) -> list[str]:
    if look.quiet or app.state in {"degraded", "down"}:
        return []
    if app.rollback and app.rollback.warm:
        return ["", f"Roll back to {app.rollback.name} (under a second): deployctl rollback {app.app}", *_brings(app.rollback)]
    if app.rollback:
        return ["", *_slow_way_back(app.rollback, app, look)]
    if app.standby and app.standby.warm and app.standby.held:
        name = _name(app.standby, app)
        return ["", f"{name} is warm but on hold. Undo the last traffic switch: deployctl undo {app.app}"]
    return []


def _brings(back: Back) -> list[str]:
    """Return what the rollback would restore, by name."""
    return [f"  Restores: {', '.join(back.brings_back)}"] if back.brings_back else []


def _slow_way_back(back: Back, app: AppView, look: TerminalStyle) -> list[str]:
    """Return what `rollback` would do; if it cannot work, which other versions can be rolled back to."""
    from deployctl.cli.rendering.ready import ready_line, ready_words

    ready = back.readiness
    if ready.ready:
        return [f"Roll back to {back.name} ({ready_words(ready)}): deployctl rollback {app.app}", *_brings(back)]
    lines = [f"{look.warn} Rollback would switch to {back.name}, but {ready.why}"]
    others = [(one.readiness, _name(one, app)) for one in app.instances if one.readiness and one.readiness.ready]
    return lines + [f"  {ready_line(ready, app.app, look, name=name)}" for ready, name in others[:1]]


def _name(one: InstanceView, app: AppView) -> str:
    """Return a name that is unique among the app's instances."""
    several = sum(other.version == one.version for other in app.instances) > 1
    return f"{one.version}@{one.release}" if several else one.version


# -- all apps --------------------------------------------------------------------------------------------------
def apps_table(view: StatusView, look: TerminalStyle) -> TextTable:
    columns = (
        Column("APP"), Column("LIVE"), Column("COLOUR"), Column("TRAFFIC"), Column("HEALTH"), Column("SINCE"),
        Column("STANDBY"), Column("ADDRESS"), Column("5XX", right=True), Column("REQUESTS", right=True, wide=True),
        Column("MEAN", right=True, wide=True), Column("REVISION", right=True, wide=True),
        Column("RELEASE", right=True, wide=True), Column("DIGEST", wide=True),
    )  # fmt: skip
    return TextTable(columns, tuple(_app_row(one, look) for app in view.apps for one in (app, *app.backing)))


def _app_row(app: AppView, look: TerminalStyle) -> tuple[str, ...]:
    live = app.active
    since = app.since or (live and live.since)
    return (
        app.app,
        live.version if live else NONE,
        (live and live.colour) or NONE,
        f"{live.weight} %" if live and not app.is_backing else NONE,
        state_words(app.state, look),
        ago(since, look) if since else NONE,
        _standby(app.standby),
        app.address or NONE,
        failing(live) if live else NONE,
        str(live.requests) if live else NONE,
        took(live.response_ms) if live and live.requests else NONE,
        str(app.revision),
        str(live.release) if live else NONE,
        short_digest(live.digest) if live else NONE,
    )


def _standby(standby: InstanceView | None) -> str:
    if standby is None:
        return NONE
    return f"{standby.version} {'warm' if standby.warm else standby.health}"


def state_words(state: str, look: TerminalStyle) -> str:
    """Return the state with its sign: never shown by colour alone."""
    signs = {"healthy": f"{look.good} passing", "degraded": f"{look.warn} degraded", "down": f"{look.bad} down",
             "not_deployed": "not deployed", "deploying": "→ deploying", "unknown": f"{look.warn} unknown"}
    return signs.get(state, state)


def failing(instance: InstanceView) -> str:
    """Return the share of requests that ended with a 5xx or without a response."""
    if not instance.requests:
        return NONE
    return f"{100 * min(1, (instance.answers_5xx + instance.failed_requests) / instance.requests):.1f} %"


# -- one app ---------------------------------------------------------------------------------------------------
def _page(app: AppView, look: TerminalStyle) -> list[str]:
    where = f"for {owner_of(AppName(app.app))} alone" if app.is_backing else app.address or ", ".join(app.hosts) or "no address"
    lines = [f"{app.app}   {where}   revision {app.revision}   {state_words(app.state, look)}"]
    if app.deployment:
        lines += ["", f"  {_deploying(app.deployment, look)}"]
    if app.instances:
        lines += ["", *lay_out(instances_table(app, look), look, indent=2), *_scaled(app)]
    elif not app.deployment:
        lines += ["", f"  Not deployed yet. First version: deployctl upgrade {app.app} VERSION"]
    return lines + (["", *lay_out(backing_table(app, look), look, indent=2)] if app.backing else [])


def _scaled(app: AppView) -> list[str]:
    """Return which components have another number of replicas than the app's file says."""
    told = [f"{one.name} {one.replicas} (the file says {one.replicas_written})" for one in app.components
            if one.replicas_written not in {None, one.replicas}]
    return ["", f"  Scaled: {', '.join(told)}"] if told else []


def backing_table(app: AppView, look: TerminalStyle) -> TextTable:
    """Return the app's backing components: they are upgraded and rolled back by themselves."""
    columns = (Column("BACKING"), Column("LIVE"), Column("HEALTH"), Column("SINCE"), Column("STANDBY"), Column("ADDRESS"),
               Column("RELEASE", right=True, wide=True), Column("DIGEST", wide=True), Column("CONTAINER", wide=True),
               Column("PROBE", wide=True, elastic=True))
    return TextTable(columns, tuple(_backing_row(one, look) for one in app.backing))


def _backing_row(app: AppView, look: TerminalStyle) -> tuple[str, ...]:
    live = app.active
    if live is None:
        return (app.app, NONE, state_words(app.state, look), *[NONE] * 7)
    return (app.app, live.version, _health(live, look) if app.state != "deploying" else state_words(app.state, look),
            ago(app.since, look) if app.since else NONE, _standby(app.standby), live.address, str(live.release),
            short_digest(live.digest), (live.container or NONE)[:12], live.probe_message)


def _deploying(one: OpenDeployment, look: TerminalStyle) -> str:
    parts = [f"{one.action} {one.to_version or ''}".rstrip(), f"phase {one.phase}", f"by {one.actor}",
             f"since {ago(one.since, look)}"]
    return "→ " + ", ".join(parts) + (", interrupted" if one.interrupted else "")


def instances_table(app: AppView, look: TerminalStyle) -> TextTable:
    columns = (
        Column("COLOUR"), Column("VERSION"), Column("ROLE"), Column("TRAFFIC", right=True), Column("HEALTH"),
        Column("ADDRESS"), Column("ROLLBACK"), Column("SINCE"), Column("5XX", right=True), Column("REQUESTS", right=True),
        Column("OPEN", right=True), Column("MEAN", right=True, wide=True), Column("RELEASE", right=True, wide=True),
        Column("INSIDE", wide=True), Column("DIGEST", wide=True), Column("CONTAINER", wide=True),
        Column("PROBE", wide=True, elastic=True),
    )  # fmt: skip
    rows = []
    for one in app.instances:
        rows.append(_instance_row(one, _name(one, app), look))
        rows += [_sibling_row(other, look) for other in app.siblings if other.release == one.release]
    return TextTable(columns, tuple(rows))


def _sibling_row(one: InstanceView, look: TerminalStyle) -> tuple[str, ...]:
    """Return the row of another container of a release, below the one whose version names it."""
    which = f"{one.component} {one.replica}/{one.replicas}" if one.replicas_written else one.component
    cells = ("", f"  {which}", "" if one.kind == "side-by-side" else one.kind, "", _health(one, look), *[""] * 8)
    return (*cells, one.address, short_digest(one.digest), (one.container or "")[:12], one.probe_message)


def _instance_row(one: InstanceView, name: str, look: TerminalStyle) -> tuple[str, ...]:
    from deployctl.cli.rendering.ready import ready_cell

    role = "live" if one.role == "active" else one.role
    reached = one.kind is not ComponentKind.BACKING  # by clients, through HAProxy
    return (
        one.colour or NONE,
        name,
        f"{role}, on hold" if one.held else role,
        f"{one.weight} %" if reached else NONE,
        _health(one, look),
        f"127.0.0.1:{one.port}" if reached else one.address,
        ready_cell(one.readiness),
        ago(one.since, look) if one.since else NONE,
        failing(one),
        str(one.requests),
        str(one.in_flight) + (f", {one.closed_connections} closed" if one.closed_connections else ""),
        took(one.response_ms) if one.requests else NONE,
        str(one.release),
        one.address,
        short_digest(one.digest),
        (one.container or NONE)[:12],
        one.probe_message,
    )


def _health(one: InstanceView, look: TerminalStyle) -> str:
    signs = {"passing": f"{look.good} ", "failing": f"{look.bad} ", "unknown": f"{look.warn} "}
    word = one.status if one.health == "stopped" and one.status else one.health
    return f"{signs.get(one.health, '')}{word}" + (f" {took(one.probe_ms)}" if one.probe_ms else "")
