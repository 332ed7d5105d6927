"""No decision reads what is written for people: codes are for programs, so every sentence may be improved.

A test of a string counts when what it looks at is called like a text for people. Texts of Docker, HAProxy, SQLite and
Linux are read where they come in, and become codes there; what people type is parsed where it comes in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards import tree

TEXTS = frozenset({
    "said", "text", "message", "why", "sentence", "likely", "headline", "summary", "note", "notes", "told", "remedy",
    "detail", "details", "reply", "error", "failure", "reason", "more", "description", "hint", "warning", "title", "stderr",
})
READS = frozenset({
    "startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "rsplit",
    "find", "rfind", "index", "count", "replace", "translate", "search", "match", "fullmatch", "sub", "findall", "finditer",
})
PATTERNS = frozenset({"search", "match", "fullmatch", "sub", "findall", "finditer", "split"})


def called(node: ast.AST) -> str:
    """Return what a value is called: the last name of an attribute, of a key, or of what str() is given."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(func=ast.Name(id="str"), args=[inner]):
            return called(inner)
        case ast.Call(func=ast.Attribute(value=inner, attr="strip" | "rstrip" | "lower" | "casefold" | "lstrip")):
            return called(inner)
    return ""


def is_text(node: ast.AST) -> bool:
    return called(node) in TEXTS


def reads(node: ast.AST) -> bool:
    """Tell whether a string test looks at a text for people."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr=method), args=given) if method in READS:
            return is_text(value) or (method in PATTERNS and any(map(is_text, given)))
        case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[right]):
            among = not isinstance(right, ast.Set) or any(map(is_words, right.elts))  # members of an enumeration are codes
            return (is_text(right) and is_words(left)) or (is_text(left) and among)
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
            return any(is_text(one) and is_words(other) for one, other in ((left, right), (right, left)))
    return False


def is_words(node: ast.AST) -> bool:
    """Tell whether it is a string with something in it."""
    match node:
        case ast.Constant(value=str(words)):
            return words != ""
    return isinstance(node, ast.JoinedStr)


def found_in(module: ast.Module) -> Iterator[ast.AST]:
    return (node for node in ast.walk(module) if reads(node))


TYPED = "what people type or send, parsed where it comes in"
OUTSIDE = "what another program says, read where it comes in: a code from here on"
SHOWN = "how a text is shown; nothing else goes by it"
COMPOSE = "what a Compose project says, in its own words"
ALLOWED: dict[str, str] = {
    "deployctl/cli/plain.py": TYPED,
    "deployctl/cli/terminal.py": SHOWN,
    "deployctl/config/key_rules.py": TYPED,
    "deployctl/config/server_file.py": TYPED,
    "deployctl/config/toml_text.py": "tomllib tells line and column in its text alone, before Python 3.14",
    "deployctl/domain/host/access.py": TYPED,
    "deployctl/domain/images/image_ref.py": TYPED,
    "deployctl/domain/images/image_source.py": "a digest of a registry's, name@sha256:…",
    "deployctl/domain/images/secret.py": TYPED,
    "deployctl/domain/inputs/addresses.py": TYPED,
    "deployctl/domain/inputs/grammar.py": TYPED,
    "deployctl/domain/inputs/names.py": TYPED,
    "deployctl/domain/inputs/plain_text.py": "makes control characters visible, whatever the text says",
    "deployctl/domain/inputs/quantities.py": TYPED,
    "deployctl/effects/docker/errors.py": "Docker has no codes: statuses and these texts are all that tells its errors apart",
    "deployctl/effects/docker/names.py": "ids and digests, checked before they are sent",
    "deployctl/effects/docker/sentences.py": "takes the noise out of Docker's texts",
    "deployctl/effects/docker/streams.py": "a container's log: control characters are made visible",
    "deployctl/effects/haproxy/home.py": "notes of emergency flips, values and no texts",
    "deployctl/effects/haproxy/process.py": "the master's answer to a reload, Success=0 or 1",
    "deployctl/effects/haproxy/trace.py": OUTSIDE,
    "deployctl/effects/haproxy/socket/answers.py": OUTSIDE,
    "deployctl/effects/haproxy/socket/runtime.py": "HAProxy's socket has no codes: a prompt, silence or a sentence",
    "deployctl/effects/haproxy/socket/talk.py": "HAProxy's socket has no codes: a reply ends with its prompt",
    "deployctl/effects/haproxy/socket/wire.py": "names and values, checked before they are sent",
    "deployctl/effects/kept_logs.py": "a log that was kept, line by line",
    "deployctl/effects/linux/guard.py": "ip(8) and nft(8) have exit statuses that tell nothing apart",
    "deployctl/effects/secrets/hiding.py": "hides what programs print of a secret",
    "deployctl/execution/runner.py": "the same evidence is not shown twice",
    "deployctl/usecases/setup/install.py": "quoted for a unit file",
    "deployctl/usecases/steps/joined_networks.py": "an address, by its parts",
    "deployctl/verbs/row.py": "the name of a function, module:function",
    "web/deployctl_web/api/headers.py": TYPED,
    "web/deployctl_web/api/request_fields.py": TYPED,
    "web/deployctl_web/pages/activity.py": "a cell that a spreadsheet would take for a formula",
    "web/deployctl_web/pages/parts/template_filters.py": SHOWN,
    "web/deployctl_web/pages/people.py": TYPED,
    "deployctl/config/imported/file_text.py": "an address, host:port",
    "deployctl/domain/compose/health.py": COMPOSE,
    "deployctl/domain/compose/naming.py": COMPOSE,
    "deployctl/domain/compose/ports.py": COMPOSE,
    "deployctl/domain/compose/proxies.py": COMPOSE,
    "deployctl/domain/compose/service.py": COMPOSE,
    "deployctl/effects/compose/program.py": OUTSIDE,
}
_IN_TEMPLATE = re.compile(rf"""['"] +(?:not +)?in +(?:\w+\.)?(?:{'|'.join(sorted(TEXTS))})\b"""
                          rf"""|\.(?:{'|'.join(sorted(TEXTS))})(?:\.(?:{'|'.join(sorted(READS))})\(| *[!=]= *['"])""")


def checked_files() -> list[Path]:
    return [path for path in tree.python_files(*tree.PRODUCT) if {"demo", "testing"}.isdisjoint(path.parts)]


def test_no_decision_reads_a_text_for_people() -> None:
    found = [(path, node) for path in checked_files() for node in found_in(tree.parsed(path))]
    new = [f"{tree.place(path, node)}: {ast.unparse(node)}" for path, node in found
           if path.relative_to(tree.ROOT).as_posix() not in ALLOWED]
    assert new == [], "give it a code, and go by that; a reader of foreign texts belongs into effects/ and into ALLOWED"


def test_every_exception_is_still_needed() -> None:
    needed = {path.relative_to(tree.ROOT).as_posix() for path in checked_files() if any(found_in(tree.parsed(path)))}
    assert sorted(ALLOWED.keys() - needed) == []


def test_no_template_reads_a_text_for_people() -> None:
    """The document of the API has code in backticks."""
    pages = (tree.ROOT / "web" / "deployctl_web" / "templates").glob("*.html")
    found = [f"{path.name}: {match[0]}" for path in sorted(pages) for match in _IN_TEMPLATE.finditer(path.read_text("utf-8"))
             if path.name != "docs.html"]
    assert found == []


@pytest.mark.parametrize("line", [
    '"refused" in said', 'said.startswith("HAProxy")', 'active.said.removeprefix("x: ")', 'note.text.partition("; ")',
    'PATTERN.search(error.message)', 're.match("x", str(event["text"]))', 'drift.sentence not in notes',
    'failure.why == "set aside"', 'f"{version} " in why', 'message in {"a", CONSTANT}', 'event["text"].rpartition(" ")',
])
def test_the_guard_sees(line: str) -> None:
    assert len(list(found_in(ast.parse(line)))) == 1


@pytest.mark.parametrize("line", [
    'code == "busy"', 'reason in {HealthReason.OTHER_IMAGE}', 'text == ""', 'not said', 'message.splitlines()',
    '"listen" in raw', 'name.startswith("deployctl.")', 'f"{why}."', 'kind is DriftKind.STORE',
])
def test_the_guard_leaves_alone(line: str) -> None:
    assert list(found_in(ast.parse(line))) == []
