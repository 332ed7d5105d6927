"""Files and functions stay small enough to be read at once."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles

from tests.guards import tree

FILE_MEDIAN, FILE_P90, FILE_MAX = 95, 220, 350
FUNCTION_MEDIAN, FUNCTION_P90 = 7, 25


def p90(sizes: Sequence[int]) -> float:
    return quantiles(sizes, n=10, method="inclusive")[-1]


def file_sizes() -> dict[str, int]:
    files = tree.python_files(*tree.PRODUCT)
    return {str(path.relative_to(tree.ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}


def function_sizes() -> dict[str, int]:
    files = tree.python_files(*tree.PRODUCT)
    return {f"{tree.place(path, f)} {f.name}": tree.lines_of(f) for path in files for f in tree.functions(path)}


def longest(sizes: dict[str, int], count: int = 8) -> str:
    return "\n".join(f"{sizes[name]:5} {name}" for name in sorted(sizes, key=sizes.__getitem__, reverse=True)[:count])


def test_files_stay_small() -> None:
    sizes = file_sizes()
    assert median(sizes.values()) <= FILE_MEDIAN, longest(sizes)
    assert p90(list(sizes.values())) <= FILE_P90, longest(sizes)
    assert max(sizes.values()) <= FILE_MAX, longest(sizes)


def test_functions_stay_small() -> None:
    sizes = function_sizes()
    assert median(sizes.values()) <= FUNCTION_MEDIAN, longest(sizes)
    assert p90(list(sizes.values())) <= FUNCTION_P90, longest(sizes)
