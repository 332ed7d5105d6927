"""The text of a changing verb's result. Line 1 is the state now; the rest is what to know and what to type next."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.cli.terminal import TerminalStyle
from deployctl.dataclass import replace
from deployctl.domain.durations import took
from deployctl.domain.images.image_source import ImageCode, ImageNews, image_sentence
from deployctl.domain.inputs.names import backing_of
from deployctl.domain.proxy.traffic import Precision
from deployctl.usecases.listings import Finding
from deployctl.usecases.results import DiffLine, Done, Moved, Preview

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.cli.rendering.tables import TextTable
    from deployctl.domain.change.plan import Plan


# -- upgrade, rollback, undo -----------------------------------------------------------------------------------
def moved_text(moved: Moved, look: TerminalStyle) -> list[str]:
    """Return the live version, how long the switch took, and how to roll back."""
    if moved.taken_over:
        return [f"{look.good} {moved.app} {moved.target} is already live. Applied from config/{moved.app}.toml:",
                *(f"  {difference(line)}" for line in moved.taken_over), *_image(moved.image, look),
                *(f"{look.warn} {warning}" for warning in moved.warnings)]
    if not moved.changed:
        return [f"{look.good} {moved.app} {moved.target} is already live. Nothing to do.", *_image(moved.image, look),
                *(f"  {line}" for line in moved.hints if not look.quiet)]
    sure = moved.confirmed or "/" in moved.app  # HAProxy has nothing to confirm of a backing component
    lines = [f"{look.good if sure else look.warn} {_headline(moved)}"]
    if not look.quiet:
        lines += [f"  {line}" for line in (*_holds(moved), _next(moved)) if line]
    lines += _image(moved.image, look)
    return lines + [f"{look.warn} {warning}" for warning in moved.warnings]


def _image(news: ImageNews | None, look: TerminalStyle) -> list[str]:
    """Return the registry's news; that it could not be reached is a warning, which --quiet keeps."""
    if news is None:
        return []
    if news.code in {ImageCode.TAG_MOVED, ImageCode.TO_PULL}:
        return [f"  {image_sentence(news)}"]
    return [f"{look.warn} {image_sentence(news)}"]


def _headline(moved: Moved) -> str:
    if "/" in moved.app:  # nothing is routed to a backing component
        word = "runs" if moved.kind == "Upgrade" else "is back on"
        return f"{moved.app} {word} {moved.names[1]}. Ready in {took(_ready_ms(moved))}. Revision {moved.revision}."
    colour = f" ({moved.colour})" if moved.colour else ""
    confirmed = "confirmed by HAProxy" if moved.confirmed else "not confirmed by HAProxy"
    if moved.kind == "Upgrade":
        sure = "" if moved.confirmed else f", {confirmed}"
        return (f"{moved.app} {moved.names[1]} is live with 100 % of traffic. Ready in {took(_ready_ms(moved))}, "
                f"switched in {took(moved.switch_ms)}{sure}, {_failed(moved)} during the switch.")
    return (f"{moved.app} is back on {moved.names[1]}{colour}. Switched in {took(moved.switch_ms)}, {confirmed}, "
            f"{_failed(moved)}. Revision {moved.revision}.")


def _ready_ms(moved: Moved) -> float:
    """Return the time until the version was live; retiring the other one afterwards does not count."""
    return moved.total_ms - sum(step.ms for step in moved.steps if step.kind in {"drain", "stop", "prune"})


def _failed(moved: Moved) -> str:
    if moved.failed_requests is None:
        return "failed requests were not counted"
    at_most = "at most " if moved.failed_requests and moved.failed_precision is Precision.AT_MOST else ""
    return f"{at_most}{moved.failed_requests} request{'' if moved.failed_requests == 1 else 's'} failed"


def _holds(moved: Moved) -> list[str]:
    left = moved.names[0]
    held = [f"{left if v == moved.source else v} is on hold: it cannot be deployed again until "
            f"deployctl unhold {moved.app} {v}. Newer versions can." for v in moved.held]
    return held + [f"{v} is no longer on hold." for v in moved.released]


def _next(moved: Moved) -> str | None:
    if moved.source is None:
        return f"See: deployctl status {moved.app}"
    if moved.kind != "Upgrade":
        return f"Undo: deployctl undo {moved.app}"
    standby = moved.names[0] if moved.standby == moved.source else moved.standby
    warm = f"{standby} stays warm. " if standby else ""
    return f"{warm}Roll back: deployctl rollback {moved.app}"


# -- the other changing verbs ----------------------------------------------------------------------------------
def done_text(done: Done, look: TerminalStyle) -> list[str]:
    """Return the summary and, unless quiet, its details."""
    details = [] if look.quiet else [line for text in done.details for line in text.splitlines()]
    return [f"{look.good} {done.sentence}", *_image(done.image, look), *(f"  {line}" for line in details)]


# -- dry run ---------------------------------------------------------------------------------------------------
def preview_text(preview: Preview, look: TerminalStyle) -> list[str]:
    """Return the plan, numbered, and what it would restore."""
    plan = preview.plan
    if preview.first:
        before = [line for one in preview.first for line in preview_text(one, look)[:-1]]
        return [*before, *preview_text(replace(preview, first=()), look)]
    if not plan.steps:
        return [f"{plan.summary}. Nothing to do.", *_image(preview.image, look), *_warned(preview.warnings, look)]
    how = " (warm: no boot needed)" if plan.warm else ""
    lines = [f"Plan for {plan.summary}{how}"]
    lines += _by_component(plan)
    lines += [f"  changes {difference(line)}" for line in preview.changes]
    lines += [preview.gap.sentence] if preview.gap is not None else []
    return [*lines, *_image(preview.image, look), *preview.restores, *_warned(preview.warnings, look), "Nothing was changed."]


def _by_component(plan: Plan) -> list[str]:
    """Return the steps, numbered in the order in which they begin; of several components each under its name."""
    from itertools import groupby

    steps = [(step, f"{n:>2}. {step.kind.replace('_', ' ').capitalize():<8} {step.sentence}")
             for n, step in enumerate(plan.steps, 1)]
    if len({step.component for step in plan.steps if step.component}) < 2:
        return [f"  {line}" for _, line in steps]
    begun = next((n for n, (step, _) in enumerate(steps) if step.kind == "start"), 0)  # before it no order is of interest
    ordered = [*sorted(steps[:begun], key=lambda pair: bool(pair[0].component)), *steps[begun:]]
    lines = list[str]()
    for about, run in groupby(ordered, key=lambda pair: bool(pair[0].component)):
        some = [*run]
        for name in dict.fromkeys(step.component for step, _ in some):
            lines += [f"  {name}"] if name else []
            lines += [f"  {'  ' if about else ''}{line}" for step, line in some if step.component == name]
    return lines


def difference(line: DiffLine) -> str:
    """Return one difference on a line: `env: ~ MODE a → b`."""
    return f"{line.group}: {difference_words(line)}"


def difference_words(line: DiffLine) -> str:
    if line.sign == "~":
        name = [] if line.name == line.group else [line.name]
        return " ".join(["~", *name, f"{line.before} → {line.after}"])
    value = line.after if line.sign == "+" else line.before
    return f"{line.sign} {line.name}" + (f"={value}" if value is not None else "")


def preview_table(preview: Preview) -> TextTable:
    from deployctl.cli.rendering.tables import NONE, Column, TextTable

    return TextTable(
        (Column("STEP", right=True), Column("KIND"), Column("RELEASE", right=True), Column("COMPONENT"),
         Column("SENTENCE", elastic=True)),
        tuple((str(n), step.kind, str(step.release), step.component or backing_of(plan.app) or NONE, step.sentence)
              for plan in (*(one.plan for one in preview.first), preview.plan) for n, step in enumerate(plan.steps, 1)),
    )


def _warned(warnings: Sequence[str], look: TerminalStyle) -> list[str]:
    return [f"{look.warn} {warning}" for warning in warnings]


# -- doctor ----------------------------------------------------------------------------------------------------
def findings_text(findings: Sequence[Finding], look: TerminalStyle) -> list[str]:
    """Return one line per check, with the fix below a failed one."""
    broad = max((len(found.name) for found in findings), default=0)
    lines = []
    for found in findings:
        lines.append(f"{_sign(found, look)} {found.name:<{broad}}  {found.message}")
        if found.fix and not found.ok:
            lines.append(f"    Fix: {found.fix}")
    bad = sum(1 for found in findings if not found.ok and found.fatal)
    warned = sum(1 for found in findings if not found.ok and not found.fatal)
    well = f"No check failed; {warned} of {len(findings)} with a warning." if warned else "All checks passed."
    return [*lines, "", f"{bad} of {len(findings)} checks failed." if bad else well]


def _sign(found: Finding, look: TerminalStyle) -> str:
    width = len(look.bad) if look.utf8 else 4
    return (look.good if found.ok else look.bad if found.fatal else look.warn).ljust(width)


def findings_table(findings: Sequence[Finding]) -> TextTable:
    from deployctl.cli.rendering.tables import Column, TextTable

    return TextTable(
        (Column("CHECK"), Column("RESULT"), Column("TEXT"), Column("FIX")),
        tuple((f.name, "ok" if f.ok else "fail" if f.fatal else "warn", f.message, f.fix or "") for f in findings),
    )
