"""Two parsers, one story: what is read without click is what click reads, and what is a mistake is left to click."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployctl.cli.group import read
from deployctl.cli.main import clear_limit
from deployctl.cli.plain import PlainLine, read_plain
from deployctl.cli.session import CommandCall
from deployctl.errors import Invalid
from deployctl.verbs.params import SHARED
from deployctl.verbs.row import Param, ParamKind, Verb
from deployctl.verbs.table import VERBS
from tests.unit.cli_world import Screen

LEAVES = [verb for verb in VERBS.values() if not verb.is_group]
SET = ("output", "quiet", "verbose", "no_color", "no_input", "yes", "timeout", "home")
GOOD: dict[str, list[str]] = {
    ParamKind.RAW: ["30d", "two words", "v1@7"], ParamKind.FILLED: ["time out"], ParamKind.NAMED: ["shop", "a b"],
    ParamKind.IMAGE: ["acme/shop:rc1"],
    ParamKind.NOTE: ["checkout 500s", "größer"], ParamKind.REASON: ["why"], ParamKind.SPAN: ["90s", "5m", "1.5s"],
    ParamKind.COUNT: ["1", "12"],
    ParamKind.ENV: ["A=b", "LEVEL=x=y", "EMPTY="], ParamKind.LISTEN: ["127.0.0.1:9000"], ParamKind.FILE: ["a.db", "/tmp/x y"],
}  # fmt: skip
BAD = ["", " ", "-", "--", "-x", "--no-such", "-1", "x", "0", "99999999999", "1_0", "+5", "A", "=", "zz", "1e3", "-o", "-qv",
       "-mx", "--message=", "--output=json", "-ojson", "-o=json", "-h", "--version", "--json", "--timeout=0s"]  # fmt: skip


def by_click(argv: list[str]) -> tuple[PlainLine | int | None, dict[str, Any]]:
    """Return the line as click reads it, and the flags of every command; None when it is a mistake."""
    session = quiet_session()
    try:
        line: PlainLine | int | None = read(argv, session)
    except Invalid:
        line = None
    finally:
        clear_limit()
    return line, {name: getattr(session, name) for name in SET}


def by_table(argv: list[str]) -> tuple[PlainLine | None, dict[str, Any]]:
    session = quiet_session()
    line = read_plain(argv, {})
    for name, value in line.shared if line else []:
        setattr(session, "output" if name == "json_too" else name, "json" if name == "json_too" else value)
    return line, {name: getattr(session, name) for name in SET}


def quiet_session() -> CommandCall:
    return CommandCall(out=Screen(), err=Screen(), stdin=Screen(), environ={}, cwd=Path("/"))


def agree(argv: list[str]) -> bool:
    """Return whether it was plain, having looked whether click reads the same."""
    plain, flags = by_table(argv)
    if plain is None:
        return False
    line, expected = by_click(argv)
    assert isinstance(line, PlainLine), argv
    assert (plain.verb.name, plain.values, flags) == (line.verb.name, line.values, expected), argv
    return True


def texts(param: Param) -> list[str]:
    return [*param.choices] or GOOD[param.kind]


def said(param: Param, text: str) -> list[str]:
    """Return a flag as it is given."""
    return [param.flags[-1]] if param.kind == ParamKind.FLAG else [param.flags[-1], text]


def least(verb: Verb) -> list[str]:
    """Return the words without which the verb is a mistake."""
    if verb.app:
        return ["shop", *("v1" for one in verb.versions if one.required)]
    return [texts(one)[0] for one in verb.words if one.required]


@pytest.mark.parametrize("verb", LEAVES, ids=lambda verb: verb.name)
def test_every_flag_of_every_verb_is_plain_and_read_as_click_reads_it(verb: Verb) -> None:
    start = [*verb.name.split(), *least(verb)]
    assert agree(start)
    for param in (*verb.flags, *SHARED):
        for text in texts(param) if param.kind != ParamKind.FLAG else ["-"]:
            assert agree([*start, *said(param, text)]), param.name
            if param.kind != ParamKind.FLAG:
                assert agree([*start, f"{param.flags[-1]}={text}"]) is param.flags[-1].startswith("--"), param.name
    for param in SHARED:
        assert agree([*said(param, "" if param.kind == ParamKind.FLAG else texts(param)[0]), *start]), param.name
    together = [word for param in verb.flags for word in said(param, "" if param.kind == ParamKind.FLAG else texts(param)[0])]
    assert agree([*start, *together])


@pytest.mark.parametrize("verb", LEAVES, ids=lambda verb: verb.name)
def test_whatever_is_typed_both_read_the_same_or_click_says_what_is_wrong(verb: Verb) -> None:
    flags = [flag for param in (*verb.flags, *SHARED) for flag in param.flags]
    good = [text for param in (*verb.flags, *verb.words, *SHARED) if param.kind != ParamKind.FLAG for text in texts(param)]
    words = st.sampled_from([*flags, *good, *BAD, "shop", "v1", "v1@7", *(f"{flag}=5m" for flag in flags)])

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.lists(words, max_size=2), st.lists(words, max_size=5))
    def check(before: list[str], after: list[str]) -> None:
        agree([*before, *verb.name.split(), *least(verb), *after])
        agree([*before, *verb.name.split(), *after])

    check()


@pytest.mark.parametrize("argv", [
    ["-h"], ["rollback", "-h"], ["--version"], ["rolback"], ["ps"], ["app"], ["rollback", "shop", "-qv"],
    ["rollback", "--", "shop"], ["rollback", "shop", "-m"], ["rollback", "shop", "-m", ""], ["user", "link"],
    ["status", "shop", "--dry-run"], ["hold", "v1", "-n"], ["upgrade", "shop", "v1", "--pull", "often"],
    ["history", "-n", "0"], ["-o", "xml", "status"], ["rollback", "-m", "a", "-m", "b"],
])  # fmt: skip
def test_what_is_not_plain_is_left_to_click(argv: list[str]) -> None:
    assert read_plain(argv, {}) is None


def test_a_line_without_a_verb_is_plain() -> None:
    assert agree([])
    assert agree(["-q", "-o", "json"])


def test_what_the_environment_wishes_is_left_to_click() -> None:
    assert read_plain(["status"], {"DEPLOYCTL_OUTPUT": "json"}) is None
    assert read_plain(["status"], {"DEPLOYCTL_OUTPUT": ""}) is not None
