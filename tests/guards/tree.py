"""The checkout as guards read it: files, parsed modules and their names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("deployctl", "web")
ALL = (*PRODUCT, "tests", "bench")


@cache
def python_files(*folders: str) -> tuple[Path, ...]:
    return tuple(sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path: Path) -> str:
    """Return `usecases.upgrade` for deployctl/usecases/change/upgrade.py; the dashboard's begin with `deployctl_web`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] in PRODUCT else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def short(name: str) -> str:
    """Return the name as module_name gives it: `errors` for `deployctl.errors`, nothing for the package itself."""
    return "" if name == "deployctl" else name.removeprefix("deployctl.")


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """Count its lines, decorators and docstring left out."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    return total - ((first.end_lineno or first.lineno) - first.lineno + 1 if ast.get_docstring(node) else 0)


def written_files() -> Iterator[tuple[Path, str]]:
    """Yield every text file that people wrote, with its text; generated and hidden folders are left out."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in {".ci", ".editorconfig", ".gitignore"} for part in parts)
        if path.is_file() and not hidden and not _made(parts):
            yield path, path.read_text(encoding="utf-8", errors="replace")


def _made(parts: tuple[str, ...]) -> bool:
    return (
        parts[0] in {"state", "build", "dist"}
        or any(part.endswith(".egg-info") or part == "__pycache__" for part in parts)
        or Path(parts[-1]).suffix in {".png", ".ico", ".woff2", ".pyc"}
    )
