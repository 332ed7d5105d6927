"""docs/states.md is drawn from the table of phases, so it cannot lie. Redraw: python -m tests.guards.test_states"""

from __future__ import annotations

from deployctl.domain.change.deployment import NEXT_PHASES
from tests.guards.tree import ROOT

PAGE = ROOT / "docs" / "states.md"


def drawn() -> str:
    """Return the page as the table says it."""
    rows = [f"| `{phase}` | `{event}` | `{after}` |" for phase, events in NEXT_PHASES.items() for event,
            after in events.items()]
    ends = ", ".join(f"`{phase}`" for phase, events in NEXT_PHASES.items() if not events)
    edges = [f"  {phase} --> {after}: {event}" for phase, events in NEXT_PHASES.items() for event, after in events.items()]
    return "\n".join([
        "# Phases of a deployment", "", f"Drawn from `deployctl/domain/change/deployment.py`. Ends: {ends}.", "",
        "```mermaid", "stateDiagram-v2", "  [*] --> planned", *edges, "```", "",
        "| in | on | becomes |", "|---|---|---|", *rows, ""])


def test_the_page_of_states_is_what_the_table_says() -> None:
    assert PAGE.read_text() == drawn()


if __name__ == "__main__":
    PAGE.write_text(drawn())
