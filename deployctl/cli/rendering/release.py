"""The text of `history`, `show` and `diff`: what happened, what a version is, and how two versions differ."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.cli.rendering.change import difference_words
from deployctl.cli.rendering.ready import ready_table, ready_words
from deployctl.cli.rendering.tables import NONE, Column, TextTable, lay_out
from deployctl.cli.rendering.times import span, when
from deployctl.cli.terminal import TerminalStyle
from deployctl.domain.change.deployment import Deployment, Phase
from deployctl.domain.change.planner import spoken
from deployctl.domain.durations import took
from deployctl.domain.images.capabilities import kept_text
from deployctl.domain.images.engine_keys import all_weakenings
from deployctl.domain.images.image_ref import short_digest
from deployctl.domain.images.release import Bundle, ProbeKind, Release
from deployctl.usecases.release_view import ReleaseView, SpecView
from deployctl.usecases.results import DiffView, HistoryLine, HistoryView

GROUPS = ("image", "env", "limits", "command", "health", "ports")


# -- history ---------------------------------------------------------------------------------------------------
def history_text(view: HistoryView, look: TerminalStyle) -> list[str]:
    """Return one line per traffic switch and failed attempt, newest first."""
    if not (view.lines or view.attempts):
        return [f"No deployments yet. First version: deployctl upgrade {view.app} VERSION"]
    lines = lay_out(history_table(view, look), look)
    if view.readiness and not look.quiet:
        lines += ["", *lay_out(ready_table(view.readiness), look)]
    return lines


def history_table(view: HistoryView, look: TerminalStyle) -> TextTable:
    columns = (Column("REV", right=True), Column("WHEN"), Column("WHAT"), Column("BY"), Column("TOOK", right=True),
               Column("NOTE", elastic=True))
    rows = [(line.change.at, _change_row(line, look)) for line in view.lines]
    rows += [(attempt.started_at, _attempt_row(attempt, view, look)) for attempt in view.attempts]
    return TextTable(columns, tuple(row for _, row in sorted(rows, key=lambda pair: pair[0], reverse=True)))


def _change_row(line: HistoryLine, look: TerminalStyle) -> tuple[str, ...]:
    change = line.change
    return (str(change.revision), when(change.at, look), _what(change.kind, *_names(line)), change.actor,
            took(change.switch_ms), _first_line(change.note))


def _attempt_row(attempt: Deployment, view: HistoryView, look: TerminalStyle) -> tuple[str, ...]:
    before, after = (view.releases.get(n) if n is not None else None for n in (attempt.source, attempt.target))
    how = f"{look.bad} {attempt.phase}" if attempt.finished_at else f"→ {attempt.phase}"
    return (NONE, when(attempt.started_at, look), f"{_what(attempt.kind, before, after)}  {how}", attempt.actor,
            span(attempt.started_at, attempt.finished_at) or NONE, _first_line(attempt.error or attempt.note))


def _names(line: HistoryLine) -> tuple[str | None, str | None]:
    """Return the live versions before and after; two releases of one version by their numbers."""
    change = line.change
    if line.source != line.target or change.source == change.target:
        return line.source, line.target
    return f"{line.source}@{change.source}", f"{line.target}@{change.target}"


def _what(kind: str, before: str | None, after: str | None) -> str:
    if kind in {"upgrade", "rollback", "undo", "emergency", "drift"}:
        return f"{kind:<8}  {f'{before} → ' if before else ''}{after or 'none'}"
    return f"{kind:<8}  {before or after or ''}".rstrip()


def _first_line(text: str) -> str:
    first, *more = text.strip().splitlines() or [""]
    return f"{first} …" if more else first


# -- show ------------------------------------------------------------------------------------------------------
def show_text(view: ReleaseView, look: TerminalStyle) -> list[str]:
    """Return the release and its spec. Of the environment only names are shown."""
    first, *others = view.components
    title = f"{view.app} {view.release.version}   {'live' if view.role == 'active' else view.role}"
    lines = [title, "", *_aligned([*_facts(view, look), *_spec(first, view.release)])]
    for one in others:
        kind = "" if one.kind == "side-by-side" else f"   {one.kind}"
        image = ("image", f"{one.bundle.image}   {short_digest(one.bundle.digest)}")
        lines += ["", f"  {one.name}{kind}", *_aligned([image, *_spec(one, view.release)], indent=4)]
    return lines + _last(view, look)


def _aligned(facts: Sequence[tuple[str, str | None]], *, indent: int = 2) -> list[str]:
    """Return those that are so, with their names in a column."""
    told = [(name, text) for name, text in facts if text]
    broad = max(len(name) for name, _ in told)
    return [f"{' ' * indent}{name:<{broad}}  {text}" for name, text in told]


def _facts(view: ReleaseView, look: TerminalStyle) -> list[tuple[str, str | None]]:
    release, bundle = view.release, view.release.bundle
    hold = release.hold
    return [
        ("release", f"{release.number}" + (f"   (same version: {_numbers(view)})" if view.siblings else "")),
        ("image", f"{bundle.image}   {short_digest(bundle.digest)}"),
        ("colour", release.colour),
        ("created", when(release.created_at, look)),
        ("checked", when(release.proven_at, look) if release.proven_at else "never"),
        ("on hold", f"since {when(hold.at, look)} by {hold.actor}: {_first_line(hold.reason)}" if hold else None),
        ("failure", release.failure),
        ("status", _running(view, look)),
        ("rollback", ready_words(view.readiness) if view.readiness else None),
    ]


def _spec(one: SpecView, release: Release) -> list[tuple[str, str | None]]:
    """Return what the containers of that component are created from, except their image."""
    bundle = one.bundle
    return [
        ("command", " ".join((*(bundle.entrypoint or ()), *(bundle.command or ()))) or None),
        ("user", bundle.user),
        ("port", f"{bundle.port} in the container" if bundle.port else None),
        ("replicas", str(one.replicas) if one.replicas > 1 else None),
        ("needs", ", ".join(f"{name} {condition}" for name, condition in one.needs.items()) or None),
        ("networks", ", ".join(bundle.networks) or None),
        *(("mounts", str(one)) for one in bundle.mounts),
        *(("files", f"{one.target} = {one}") for one in bundle.files),
        *(("secrets", str(one)) for one in bundle.secrets),
        *(("isolation", sentence) for sentence in all_weakenings(release.components)),
        ("caps", kept_text(release.cap_drop, bundle.cap_add)),
        ("health", None if one.kind == "job" else health_words(bundle)),
        ("limits", limit_words(bundle)),
        ("env", ", ".join(name for name, _ in bundle.env) or "none"),
    ]


def _numbers(view: ReleaseView) -> str:
    return ", ".join(f"release {n}" for n in view.siblings)


def _running(view: ReleaseView, look: TerminalStyle) -> str:
    one = view.instance
    if one is None:
        return "no container"
    sign = look.bad + " " if one.health == "failing" else ""
    probe = f" ({one.probe_message})" if one.probe_message else ""
    container = (one.container or NONE)[:12]
    where = one.address if one.kind == "backing" else f"{one.weight} % of traffic, 127.0.0.1:{one.port}"
    return f"{sign}{one.health}{probe}, {where}, container {container}"


def health_words(bundle: Bundle) -> str:
    probe = bundle.probe
    if probe.kind is ProbeKind.PROCESS:
        return f"{spoken(probe)}, deadline {probe.deadline:g} s"
    return (f"{spoken(probe)} every {probe.interval:g} s, timeout {probe.timeout:g} s, "
            f"rise {probe.rise}, fall {probe.fall}, deadline {probe.deadline:g} s")


def limit_words(bundle: Bundle) -> str:
    size = bundle.resources
    return f"memory {size.memory / 2**20:.0f} MiB, cpus {size.cpus:g}, pids {size.pids}"


def _last(view: ReleaseView, look: TerminalStyle) -> list[str]:
    last = view.last
    if last is None:
        return []
    sign = "→" if not last.finished_at else look.good if last.phase is Phase.SUCCEEDED else look.bad
    lines = ["", f"  last {last.kind}: {sign} {last.phase}, {when(last.started_at, look)}, by {last.actor}"]
    lines += [f"    {line}" for line in (last.error or "").splitlines()]
    return lines + [f"    {line}" for text in last.evidence for line in text.splitlines()]


# -- diff ------------------------------------------------------------------------------------------------------
def diff_text(view: DiffView, look: TerminalStyle) -> list[str]:
    """Return the differences by group, and on one line what is the same."""
    groups = [*GROUPS, *sorted({line.group for line in view.lines} - {*GROUPS})]
    broad = max(len(group) for group in groups)
    lines, same = [f"{view.app}: {_named(view)}"], []
    for group in groups:
        found = [line for line in view.lines if line.group == group]
        lines += [f"{group if n == 0 else '':<{broad}}  {difference_words(line)}" for n, line in enumerate(found)]
        same += [] if found else [group]
    if same:
        lines.append(f"same: {', '.join(same)}")
    return lines


def _named(view: DiffView) -> str:
    before, after = view.before, view.after
    if before.version == after.version:
        return f"{before.version} (release {before.release}) → {after.version} (release {after.release})"
    return f"{before.version} → {after.version}"


def diff_table(view: DiffView) -> TextTable:
    return TextTable(
        (Column("GROUP"), Column("SIGN"), Column("NAME"), Column("BEFORE"), Column("AFTER")),
        tuple((d.group, d.sign, d.name, d.before or "", d.after or "") for d in view.lines),
    )
