"""The figures of the house: how long functions are, how many modules one knows, and what a name means. Printed, and held.

`pytest tests/guards/test_house.py -s` prints them all.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import mean

import pytest

from tests.guards import tree
from tests.guards.test_sizes import function_sizes, longest, p90

FUNCTION_P90 = 12  # lines
IMPORTS_A_MODULE = 5.6  # distinct modules of ours that one imports, on average; goal: 4
# Not counted: modules that stand for a part of the language or its library. They know no other module of ours.
VOCABULARY = frozenset({"errors", "dataclass", "digest", "paths", "pattern", "stdlib"})
MOCKS_A_TEST = 0.05
FILES_A_FOLDER = 20
TYPES_DEFINED_TWICE = 0  # goal: none
FOLDERS = (*tree.PRODUCT, "bench")
PATCHES = {"setattr", "setitem", "delattr", "delitem"}  # of pytest's monkeypatch
MOCKS = {"Mock", "MagicMock", "AsyncMock", "create_autospec", "patch"}

MODULES: dict[str, Path] = {tree.module_name(path): path for path in tree.python_files(*tree.PRODUCT)}


# -- who imports whom -------------------------------------------------------------------------------------------------
def imported(module: str, *, at_import: bool = False) -> set[str]:
    """Return our own modules that this one imports; with `at_import` only those that it needs before it is loaded.

    What a package hands on from one of its modules counts as that module: a longer way is not a simpler one.
    """
    body = tree.parsed(MODULES[module]).body
    nodes = _run_at_import(body) if at_import else (node for one in body for node in ast.walk(one))
    return {name for node in nodes for name in _named(node)} - {module}


def _run_at_import(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for part in ("body", "orelse", "finalbody"):
                yield from _run_at_import(getattr(node, part, ()))


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (name for alias in node.names if (name := tree.short(alias.name)) in MODULES)
    elif isinstance(node, ast.ImportFrom):
        yield from (origin for alias in node.names if (origin := _origin(tree.short(str(node.module)), alias.name)))


def _origin(package: str, name: str) -> str | None:
    """Return the module of ours that this name comes from, through packages that only hand it on."""
    inner = f"{package}.{name}" if package else name
    if inner in MODULES or package not in MODULES:
        return inner if inner in MODULES else None
    if MODULES[package].name == "__init__.py":
        for node in tree.parsed(MODULES[package]).body:
            if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
                return _origin(tree.short(str(node.module)), name) or package
    return package


def circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """Return modules that import each other in a ring, the first one again at the end; nothing when there is none."""
    done, way = set[str](), list[str]()

    def walk(name: str) -> list[str]:
        if name in way:
            return [*way[way.index(name):], name]
        if name in done:
            return []
        way.append(name)
        found = next((ring for other in sorted(arrows.get(name, ())) if (ring := walk(other))), list[str]())
        way.pop()
        done.add(name)
        return found

    return next((ring for name in sorted(arrows) if (ring := walk(name))), list[str]())


def says_something(path: Path) -> bool:
    """Tell whether there is more in it than a docstring: an empty `__init__.py` is not a module that knows nobody."""
    body = tree.parsed(path).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def test_a_module_knows_few_others() -> None:
    known = {name: imported(name) - VOCABULARY for name, path in MODULES.items() if says_something(path)}
    average = mean(len(others) for others in known.values())
    print(f"imports of our own modules: {average:.2f} a module, at most {IMPORTS_A_MODULE}")
    assert average <= IMPORTS_A_MODULE, longest({name: len(others) for name, others in known.items()}, 20)


def test_the_vocabulary_knows_no_other_module() -> None:
    assert {name: others for name in VOCABULARY if (others := imported(name) - VOCABULARY - {""})} == {}


def test_no_modules_import_each_other_in_a_ring() -> None:
    assert circle({name: imported(name, at_import=True) for name in MODULES}) == []


# -- sizes ----------------------------------------------------------------------------------------------------------------
def test_nine_functions_of_ten_fit_a_dozen_lines() -> None:
    sizes = function_sizes()
    print(f"functions: nine of ten have at most {p90(list(sizes.values())):.0f} lines")
    assert p90(list(sizes.values())) <= FUNCTION_P90, longest(sizes, 30)


def test_no_folder_is_a_heap() -> None:
    folders = Counter(str(path.parent.relative_to(tree.ROOT)) for path in tree.python_files(*FOLDERS))
    name, files = folders.most_common(1)[0]
    print(f"folders: {len(folders)}, the fullest is {name} with {files} Python files")
    assert {name: count for name, count in folders.items() if count > FILES_A_FOLDER} == {}


# -- names ----------------------------------------------------------------------------------------------------------------
def types_of(path: Path) -> Iterator[str]:
    """Yield the names of the classes and type aliases that a module defines at its top."""
    for node in tree.parsed(path).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and is_alias(node):
            yield ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)


def is_alias(node: ast.Assign | ast.AnnAssign) -> bool:
    """Tell `Json = dict[str, Any]` and the like: a name as classes have it, for what is a type and no value."""
    name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target).lstrip("_")
    names_a_type = name[:1].isupper() and not name.isupper()
    return names_a_type and isinstance(node.value, (ast.Subscript, ast.BinOp, ast.Name, ast.Attribute))


def test_no_type_name_means_two_things() -> None:
    places = defaultdict[str, list[str]](list)
    for module, path in MODULES.items():
        for name in types_of(path):
            places[name].append(module)
    twice = {name: where for name, where in sorted(places.items()) if len(where) > 1}
    print(f"type names defined more than once: {len(twice)} of {len(places)}")
    assert len(twice) <= TYPES_DEFINED_TWICE, twice


# -- mocks ----------------------------------------------------------------------------------------------------------------
def is_mock(node: ast.AST) -> bool:
    """Tell a call that puts something else in the place of what the product has: of pytest's monkeypatch, or of mock."""
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func).split(".")
    return (called[0] == "monkeypatch" and called[-1] in PATCHES) or not MOCKS.isdisjoint(
        called if called[0] in {*MOCKS, "mock"} else ())


def test_tests_mock_next_to_nothing() -> None:
    files = tree.python_files("tests")
    mocks = {str(path.relative_to(tree.ROOT)): sum(map(is_mock, ast.walk(tree.parsed(path)))) for path in files}
    tests = sum(f.name.startswith("test_") for path in files if path.name.startswith("test_") for f in tree.functions(path))
    print(f"mocks: {sum(mocks.values())} in {tests} tests, {sum(mocks.values()) / tests:.3f} a test, at most {MOCKS_A_TEST}")
    assert sum(mocks.values()) / tests <= MOCKS_A_TEST, longest(mocks, 20)


# -- the finders themselves ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("source", "is_type"), [
    ("Json = dict[str, Any]", True),
    ("Change = Callable[[], None] | None", True),
    ("Now: TypeAlias = tuple[int, ...]", True),
    ("MOST = 20", False),
    ("Seen = namedtuple('Seen', 'a b')", False),
    ("cells = dict[str, int]()", False),
])
def test_an_alias_is_told_from_other_values(source: str, *, is_type: bool) -> None:
    node = ast.parse(source).body[0]
    assert isinstance(node, (ast.Assign, ast.AnnAssign))
    assert is_alias(node) is is_type


@pytest.mark.parametrize(("source", "mocks"), [
    ("monkeypatch.setattr(os, 'fsync', full)", 1),
    ("monkeypatch.setenv('NO_COLOR', '1')", 0),
    ("with patch.object(runner, 'take', take): pass", 1),
    ("one = mock.Mock(); two = MagicMock()", 2),
    ("client.patch('/api/v1/users/x')", 0),
    ("mocker(1)", 0),
])
def test_a_mock_is_told_from_other_calls(source: str, mocks: int) -> None:
    assert sum(map(is_mock, ast.walk(ast.parse(source)))) == mocks


def test_a_ring_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
