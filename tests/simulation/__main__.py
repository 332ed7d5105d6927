"""`python -m tests.simulation --schedules 1000000`: search for schedules that break an invariant, and tell their stories.

    --schedules N        how many (20000)
    --seed S             the first seed (0); a failing seed is replayed with --seed S --schedules 1 --tell
    --named WORDS        the recipe of that name instead of chance, with its own seeds
    --kind WORDS         of apps of that kind: exclusive, several, database, or any of them
    --razor              let others come between the fence's look and the change that it allows
    --processes P        on so many cores (all)
    --tell               tell every story, of those that hold too
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from dataclasses import replace

from tests.simulation.many import Search, search_many
from tests.simulation.named import NAMED
from tests.simulation.simulate import CHANCE, Recipe, simulate

MOST_STORIES = 3


def main() -> int:
    """Return 1 when something broke."""
    asked = _asked()
    recipe, first, count = CHANCE, asked.seed, asked.schedules
    if asked.named:
        named = next(found for name, found in NAMED.items() if asked.named in name)
        recipe, first, count = named.recipe, named.first, named.count
    recipe = replace(recipe, razor=asked.razor, **({"kind": asked.kind} if asked.kind else {}))
    if asked.tell and count == 1:
        print(simulate(first, recipe, telling=True))
        return 0
    search = search_many(first, count, recipe=recipe, processes=asked.processes, on_progress=_progress)
    print(f"\n{search.schedules} schedules, {search.calls} calls in {search.seconds:.1f} s: {search.rate:.0f}/s")
    _tell(search, recipe, stories=MOST_STORIES if asked.tell or not asked.named else 1)
    return int(bool(search.broken))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--named", default="")
    parser.add_argument("--kind", default="")
    parser.add_argument("--razor", action="store_true")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--tell", action="store_true")
    return parser.parse_args()


def _progress(search: Search) -> None:
    print(f"\r{search.schedules} schedules, {search.rate:.0f}/s, {len(search.broken)} broken ", end="", file=sys.stderr)


def _tell(search: Search, recipe: Recipe, *, stories: int) -> None:
    kinds = Counter(re.sub(r"[0-9a-f]{64}|\d+", "N", told.broken[0])[:120] for told in search.broken)
    for kind, count in kinds.most_common():
        seeds = [told.seed for told in search.broken if re.sub(r"[0-9a-f]{64}|\d+", "N", told.broken[0])[:120] == kind]
        print(f"{count:6} × {kind}  seeds {seeds[:5]}")
    for told in search.broken[:stories]:
        print(f"\n{simulate(told.seed, recipe, telling=True)}")


if __name__ == "__main__":
    sys.exit(main())
