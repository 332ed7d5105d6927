"""Patterns of strangers: they find what Python's own find, and no pattern takes long."""

from __future__ import annotations

import re
import time

import pytest

from deployctl.domain.pattern import Pattern
from deployctl.errors import Invalid

PATTERNS = ["a", "a.c", "a|b", "(ab)+c", "a*b", "a?b", "[a-c]x", "[^a-c]", r"\d{2,3}", r"\w+ \w+", "^ab", "ab$", "^$",
            "(?:a|bc){2}", "a{2,}", r"\[x\]", "x*", "(a|b)*c$", "[]a]", "a.*?b", r"\s", "(^a|b$)", "[a-]", r"[\d.]+"]
TEXTS = ["", "a", "b", "abc", "aabbcc", "ab ab", "xyz", "12", "123 4", "aXc", "[x]", "bcbc", "ab\n", "-", "]", "1.5", "cab"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_finds_what_python_finds(pattern: str) -> None:
    mine, theirs = Pattern(pattern), re.compile(pattern)
    for text in TEXTS:
        if "$" in pattern and text.endswith("\n"):
            continue  # Python's $ lets a line break follow; a line of a log has none
        assert mine.found_in(text) == bool(theirs.search(text)), text


def test_upper_and_lower_case_may_be_one() -> None:
    assert Pattern("Error [a-f]", ignore_case=True).found_in("an ERROR D")
    assert not Pattern("Error").found_in("an ERROR")


@pytest.mark.parametrize("pattern", ["(", ")", "a**", "[a", "a{3", "a{9,2}", "a{99}", "*a", r"\1", "(?=a)", r"\b", "a" * 201,
                                     "(" * 30 + "a" + ")" * 30, "((a{50}){50}){50}", "[z-a]", "\\"])
def test_what_is_no_pattern_or_too_much_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid):
        Pattern(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", "(.*)(.*)(.*)(.*)x", "(a?){50}a{50}b"])
def test_no_pattern_keeps_the_server_busy(pattern: str) -> None:
    matcher, started = Pattern(pattern), time.monotonic()
    for _ in range(20):
        matcher.found_in("a" * 4000 + "c")
    assert time.monotonic() - started < 2.0
