"""Ways of writing that have hurt before: shell strings, swallowed errors, stray prints, half transactions."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guards import tree

MAY_PRINT = ("cli.render", "demo", "__main__")
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
          "asyncio.create_subprocess_shell"}
STARTERS = {"run", "Popen", "call", "check_call", "check_output"}

Finder = Callable[[ast.AST], bool]


def found_in(files: tuple[Path, ...], is_bad: Finder) -> list[str]:
    return [tree.place(path, node) for path in files for node in ast.walk(tree.parsed(path)) if is_bad(node)]


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def uses_a_shell(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    asked = any(word.arg == "shell" and getattr(word.value, "value", True) for word in node.keywords)
    return asked or dotted(node.func) in SHELLS or _starts_a_string(node)


def _starts_a_string(call: ast.Call) -> bool:
    name = dotted(call.func).split(".")
    if name[-1] not in STARTERS or name[0] not in {"subprocess", *STARTERS} or not call.args:
        return False
    command = call.args[0]
    is_text = isinstance(command, ast.Constant) and isinstance(command.value, str)
    return is_text or (isinstance(command, (ast.JoinedStr, ast.BinOp)) and not _adds_lists(command))


def _adds_lists(node: ast.AST) -> bool:
    return any(isinstance(part, (ast.List, ast.Starred)) for part in ast.walk(node))


def swallows_anything(node: ast.AST) -> bool:
    """A handler for everything is a mistake, unless it takes something back and raises again."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    caught = {dotted(name) for name in (node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]) if name}
    if node.type is None or "Exception" in caught:
        return True
    return "BaseException" in caught and not any(map(raises, ast.walk(node)))


def raises(node: ast.AST) -> bool:
    """Tell a `raise`, also inside a generator, or a call of what says by its name that it never returns."""
    named = dotted(node.func).lstrip("_") if isinstance(node, ast.Call) else ""
    return isinstance(node, ast.Raise) or named.startswith("raise_") or named.endswith(".throw")


def suppresses_anything(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or dotted(node.func).split(".")[-1] != "suppress":
        return False
    return any(dotted(name) in {"Exception", "BaseException"} for name in node.args)


def half_transaction(node: ast.AST) -> bool:
    """`with db.conn` commits, but does not begin: two readers can both go on to write."""
    entered = [item.context_expr for item in node.items] if isinstance(node, (ast.With, ast.AsyncWith)) else []
    return any(isinstance(what, ast.Attribute) and what.attr in {"conn", "raw"} for what in entered)


def prints(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func) in {"print", "sys.stdout.write", "sys.stderr.write"}


def _product(*, but: tuple[str, ...] = ()) -> tuple[Path, ...]:
    def is_free(module: str) -> bool:
        return any(module == name or module.startswith(f"{name}.") for name in but)

    return tuple(path for path in tree.python_files(*tree.PRODUCT) if not is_free(tree.module_name(path)))


def test_no_command_is_ever_a_string() -> None:
    assert found_in(tree.python_files(*tree.ALL), uses_a_shell) == []


def test_no_error_is_swallowed_unseen() -> None:
    assert found_in(_product(), swallows_anything) == []
    assert found_in(_product(), suppresses_anything) == []


def test_no_transaction_is_half_of_one() -> None:
    assert found_in(_product(), half_transaction) == []


def test_only_the_renderer_and_the_demo_print() -> None:
    assert found_in(_product(but=MAY_PRINT), prints) == []


EXAMPLES: list[tuple[Finder, str, bool]] = [
    (uses_a_shell, "subprocess.run('ls ' + folder)", True),
    (uses_a_shell, "subprocess.run(f'ls {folder}')", True),
    (uses_a_shell, "run('ls')", True),
    (uses_a_shell, "Popen(words, shell=True)", True),
    (uses_a_shell, "Popen(words, shell=wanted)", True),
    (uses_a_shell, "os.system('ls')", True),
    (uses_a_shell, "subprocess.run(['ls'] + more)", False),
    (uses_a_shell, "subprocess.run(words, shell=False)", False),
    (uses_a_shell, "runner.run('upgrade')", False),
    (swallows_anything, "try: x()\nexcept Exception: pass", True),
    (swallows_anything, "try: x()\nexcept (OSError, Exception) as e: raise y from e", True),
    (swallows_anything, "try: x()\nexcept: pass", True),
    (swallows_anything, "try: x()\nexcept BaseException: pass", True),
    (swallows_anything, "try: x()\nexcept BaseException:\n undo()\n raise", False),
    (swallows_anything, "try: x()\nexcept OSError: pass", False),
    (suppresses_anything, "contextlib.suppress(Exception)", True),
    (suppresses_anything, "suppress(OSError)", False),
    (half_transaction, "with db.conn: db.execute(x)", True),
    (half_transaction, "with db.atomic(): db.execute(x)", False),
    (prints, "print(x)", True),
    (prints, "sys.stdout.write(x)", True),
    (prints, "render.print(x)", False),
]


@pytest.mark.parametrize(("finder", "source", "bad"), EXAMPLES)
def test_each_finder_tells_good_from_bad(finder: Finder, source: str, *, bad: bool) -> None:
    assert any(finder(node) for node in ast.walk(ast.parse(source))) is bad
