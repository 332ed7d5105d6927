"""What became of a Compose project, as text."""

from __future__ import annotations

from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.cli.terminal import TerminalStyle
    from deployctl.domain.compose.gaps import ImportGap
    from deployctl.usecases.setup.import_compose import Imported
    from deployctl.usecases.take_over.begin import TakenOver


def imported_text(done: Imported, look: TerminalStyle) -> list[str]:
    """Return the report: each of its services with its kind, then what is not carried over, what blocks first."""
    wide = max((len(one.name) for one in done.services), default=0)
    lines = [f"{done.project} → {done.app}: {len(done.services)} services", ""]
    for one in done.services:
        mark = look.good if one.runs else look.bad
        lines.append(f"{mark} {one.name:<{wide}}  {one.kind or 'left out':<12}  {one.why}")
    gaps = sorted([*done.gaps, *(gap for one in done.services for gap in one.gaps)], key=lambda gap: not gap.blocks)
    for title, blocks in (("To do before it runs as the project says", True), ("Not carried over", False)):
        if some := [gap for gap in gaps if gap.blocks is blocks]:
            lines += ["", f"{title}:", *(line for gap in some for line in _gap(gap))]
    for title, told in (("Changed since the last import", done.changes), ("Kept as you wrote it", done.kept)):
        if told:
            lines += ["", f"{title}:", *(f"  {line}" for line in told)]
    return [*lines, "", *_end(done)]


def taken_text(done: TakenOver) -> list[str]:
    """Return how the take-over went."""
    stopped = f"{len(done.stopped)} containers were stopped, and for {done.gap_ms / 1000:.1f} s nothing served."
    return ["", f"{done.app} has taken over the Compose project {done.project}: {stopped}",
            *(f"  {line}" for line in done.next)]


def _gap(gap: ImportGap) -> Iterator[str]:
    yield f"  {gap.key or 'the app file'}: {gap.why}."
    yield from (f"      {line}" for line in gap.remedy)


def _end(done: Imported) -> Iterator[str]:
    if done.secrets:
        yield f"Secrets set: {', '.join(done.secrets)}"
    if done.written:
        yield f"{done.path} was written. It counts from now on, not the Compose file."
        yield f"Next: {done.next}"
    else:
        yield f"Nothing was written: this was a check of what {done.path} would be."
