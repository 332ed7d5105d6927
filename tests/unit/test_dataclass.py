"""Ours behave as those of the standard library do, in everything that this project uses."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from pydantic import TypeAdapter

from deployctl import dataclass as ours
from deployctl.dataclass import COMPILED_AFTER

SOURCE = """
from typing import ClassVar
@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
    tags: tuple[str, ...] = ()
    seen: dict = field(default_factory=dict)
    secret: str = field(default="", repr=False)
    cost: int = field(default=0, compare=False)
    LIMIT: ClassVar[int] = 40
@dataclass(frozen=True, slots=True)
class Named(Point):
    name: str = "n"
    x: int = 7
@dataclass(slots=True)
class Counter:
    start: int
    total: int = field(init=False)
    lines: list = field(default_factory=list)
    step: int = field(default=1, init=False)
    def __post_init__(self):
        self.total = self.start + 1
@dataclass(slots=True, eq=False)
class Identity:
    x: int = 1
@dataclass(frozen=True)
class Open:
    x: int = 1
    def __repr__(self):
        return "mine"
@dataclass(frozen=True, slots=True)
class Empty:
    pass
@dataclass(frozen=True, slots=True)
class Deep:
    one: Point
    many: tuple[Point, ...] = ()
    by: dict = field(default_factory=dict)
"""


def classes(library: Any) -> dict[str, Any]:
    space: dict[str, Any] = {"dataclass": library.dataclass, "field": library.field, "__name__": __name__}
    exec(compile(f"from __future__ import annotations\n{SOURCE}", "classes", "exec"), space)  # noqa: S102  the text above
    return space


THEIRS, OURS = classes(dataclasses), classes(ours)


def outcome(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except (TypeError, AttributeError, ValueError) as error:
        return next(kind.__name__ for kind in (AttributeError, TypeError, ValueError) if isinstance(error, kind))


def used(space: dict[str, Any], library: Any) -> list[Any]:
    """Return what comes of everything that one does with a dataclass."""
    point, named, counter, deep = (space[name] for name in ("Point", "Named", "Counter", "Deep"))
    one, full = point(1), point(1, 3, ("a",), {"k": 1}, "s", 9)
    whole = deep(one, (one, full), {"p": full})
    return [
        repr(one), repr(full), repr(named()), repr(counter(3)), repr(space["Open"]()), repr(space["Empty"]()),
        point(x=1, y=2) == one, point(1, cost=5) == one, one == full, one == 1, named(1) == one, point(2) != one,
        hash(point(1, seen=())) == hash(point(1, seen=())), outcome(lambda: hash(counter(1))), counter(1) == counter(1),
        space["Identity"]() == space["Identity"](), space["Empty"]() == space["Empty"](), hash(space["Empty"]()),
        outcome(lambda: setattr(one, "x", 3)), outcome(lambda: delattr(one, "x")),
        outcome(lambda: setattr(space["Open"](), "x", 3)), outcome(lambda: setattr(counter(1), "zz", 3)),
        outcome(lambda: point()), outcome(lambda: point(1, 2, (), {}, "", 0, 7)), outcome(lambda: point(1, x=1)),
        outcome(lambda: point(1, nothing=1)), outcome(lambda: counter(1, total=2)),
        repr(library.replace(full, y=8)), outcome(lambda: library.replace(one, nothing=1)), repr(library.replace(named(), x=1)),
        library.asdict(whole), library.asdict(counter(4)), library.astuple(space["Open"](4)),
        [each.name for each in library.fields(named)], point.LIMIT, point.__match_args__, named.__match_args__,
        counter.__match_args__, point.__slots__, named.__slots__, hasattr(one, "__dict__"), copy.copy(full) == full,
        repr(copy.deepcopy(whole)), counter(1).lines is not counter(1).lines, point.__qualname__, point.__module__,
    ]


def test_they_do_what_those_of_the_standard_library_do() -> None:
    assert used(OURS, ours) == used(THEIRS, dataclasses)


def test_a_class_of_which_many_are_made_stays_as_it_is() -> None:
    fresh = classes(ours)
    for name, given in (("Point", (1,)), ("Named", ()), ("Counter", (1,)), ("Deep", (1,)), ("Open", ()), ("Empty", ())):
        shared = fresh[name].__init__
        for _ in range(COMPILED_AFTER):
            fresh[name](*given)
        assert fresh[name].__init__ is not shared
    assert used(fresh, ours) == used(THEIRS, dataclasses)


def test_the_standard_library_and_pydantic_take_them_for_dataclasses() -> None:
    point: Any = OURS["Point"](1, seen={"k": 2})
    kind: object = OURS["Point"]
    assert dataclasses.is_dataclass(kind)
    assert dataclasses.asdict(point) == ours.asdict(point)
    assert dataclasses.replace(point, y=5) == ours.replace(point, y=5)
    assert TypeAdapter(OURS["Point"]).json_schema() == TypeAdapter(THEIRS["Point"]).json_schema()
    assert TypeAdapter(OURS["Named"]).json_schema() == TypeAdapter(THEIRS["Named"]).json_schema()


def test_a_dataclass_of_the_standard_library_may_extend_one() -> None:
    extended = dataclasses.make_dataclass("Extended", [("z", int, 9)], bases=(OURS["Point"],), frozen=True)
    assert dataclasses.asdict(extended(1))["z"] == 9


@ours.dataclass(frozen=True, slots=True)
class Kept:
    x: int
    y: tuple[int, ...] = ()
    LIMIT: ClassVar[int] = 3


def test_one_that_is_frozen_is_pickled() -> None:
    assert pickle.loads(pickle.dumps(Kept(1, (2,)))) == Kept(1, (2,))  # noqa: S301  made here


def test_a_default_that_all_would_share_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="default_factory"):
        @ours.dataclass
        class Shared:
            lines: list[str] = []  # noqa: RUF012


def test_a_field_without_default_may_not_follow_one_that_has_one() -> None:
    with pytest.raises(TypeError, match="second has no default"):
        @ours.dataclass
        class Turned:
            first: int = 1
            second: str  # type: ignore[misc]


def test_defining_them_imports_nothing_dear() -> None:
    script = "import sys, deployctl.dataclass; print(sorted({'dataclasses', 'inspect'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
