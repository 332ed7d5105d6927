"""Words of HAProxy that one version takes and another refuses, or that do another thing than they say.

- `enabled` in `add server`: 3.0 refuses it.
- `set map` between `prepare map` and `commit map`: up to 3.0 it leaks into the version that is prepared.
- A line of a payload without a value swallows the next one.
- `option idle-close-on-response` outside of HTTP frontends: 3.2 refuses it in a backend.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.traffic import Backend, TrafficTable
from deployctl.effects.haproxy.config import text as config
from deployctl.effects.haproxy.socket import wire
from tests.guards import tree

FILES = tree.python_files("deployctl/effects/haproxy")
PAYLOAD = "payload"  # the one function that may build one: it must refuse a line without a value


def texts(node: ast.AST) -> list[str]:
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def adds_enabled(function: ast.AST) -> bool:
    return any("add server" in text for text in texts(function)) and any("enabled" in text.split() for text in texts(function))


def prepares_a_map(module: ast.AST) -> bool:
    return any(text.startswith(("prepare map", "commit map")) for text in texts(module))


def sets_a_map(module: ast.AST) -> bool:
    called = {ast.unparse(node.func).rpartition(".")[2] for node in ast.walk(module) if isinstance(node, ast.Call)}
    return "set_entry" in called or any(text.startswith("set map") for text in texts(module))


def builds_a_payload(function: ast.AST) -> bool:
    return any(text.rstrip().endswith("<<") or "<<\n" in text for text in texts(function))


@pytest.mark.parametrize("path", FILES, ids=tree.module_name)
def test_a_server_is_never_added_enabled(path: Path) -> None:
    assert [tree.place(path, f) for f in tree.functions(path) if adds_enabled(f)] == []


def test_what_is_added_for_a_server_does_not_say_enabled() -> None:
    backend = Backend(AppName("shop"), 1, Version("v1"), 1, "172.30.0.5", 80, "br")
    assert "enabled" not in wire.add_server(backend).split()


@pytest.mark.parametrize("path", FILES, ids=tree.module_name)
def test_no_module_that_prepares_a_map_sets_entries_of_one(path: Path) -> None:
    module = tree.parsed(path)
    assert not (prepares_a_map(module) and sets_a_map(module)), "one entry at a time, or the whole map, never both"


@pytest.mark.parametrize("path", FILES, ids=tree.module_name)
def test_a_payload_is_built_in_one_place(path: Path) -> None:
    found = [f.name for f in tree.functions(path) if builds_a_payload(f)]
    assert set(found) <= {PAYLOAD}
    assert not found or path.name == "haproxy_wire.py"


def test_idle_connections_are_closed_politely_in_http_frontends_only() -> None:
    table = TrafficTable(listens={AppName("shop"): ("127.0.0.1", 8000)})
    text = config.render(table, ServerSpec(), config.ProxyHost("/s/haproxy.sock", "/s", threads=1, drop_root=False), "one")
    assert sections_with(text, "option idle-close-on-response") == ["frontend pub"]
    assert "mode tcp" not in text


def sections_with(text: str, line: str) -> list[str]:
    section, found = "", []
    for each in text.splitlines():
        section = section if each.startswith((" ", "#")) else each
        found += [section] if each.strip() == line else []
    return found


@pytest.mark.parametrize(
    ("finder", "source", "bad"),
    [
        (adds_enabled, "def f(): return f'add server apps/{name} {words} enabled'", True),
        (adds_enabled, "def f(): return f'add server apps/{name} {words}'", False),
        (prepares_a_map, "x = f'prepare map {name}'", True),
        (sets_a_map, "ask(wire.set_entry(name, key, value))", True),
        (sets_a_map, "x = 'set map a b c'", True),
        (sets_a_map, "x = 'show map a'", False),
        (builds_a_payload, "def f(): return f'add map @{version} {name} <<\\n{lines}\\n'", True),
        (builds_a_payload, "def f(): return 1 << 4", False),
    ],
)
def test_each_finder_tells_good_from_bad(finder: object, source: str, *, bad: bool) -> None:
    assert callable(finder)
    assert finder(ast.parse(source)) is bad
