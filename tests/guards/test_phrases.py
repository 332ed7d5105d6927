"""Phrases that crept in, word for word from another language or of our own making, stay out of what people read.

docs/glossary.md has the word to write instead. A phrase is looked for in every text of the product that is no docstring,
in templates and scripts of the dashboard, and in the docs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.guards import tree

PHRASES = (
    r"\b(?:is|was|are|still) at it\b", r"\bwhoever\b", r"\bas things are\b", r"\b(?:be|is|are|was) told\b", r"\banew\b",
    r"\buntil now\b", r"\bnobody serves\b", r"\bserves nobody\b", r"\bwho serves\b", r"\bhis\b", r"\bhe (?:may|has|is)\b",
    r"\bmend(?:s|ed|ing)?\b", r"\bproven healthy\b", r"\bon trial\b", r"\bway back\b", r"\btaken? back\b",
    r"\b(?:must|can|could|would|to) go back\b", r"\bstable address\b", r"\bstrays?\b", r"\bour seal\b",
    r"\bhung up\b", r"\bsigned in nowhere\b", r"\bto be known\b", r"\bthe same again\b", r"\ball the same\b",
    r"\bput back\b", r"\bgoe?s? on with\b", r"\bno answer\b", r"\bdoes not answer\b", r"\bnothing answers\b",
    r"\bis gone again\b", r"\bas (?:it|they) (?:was|were) written\b", r"\blift(?:s|ed)? the hold\b", r"\bhold was lifted\b",
    r"\bmay not be (?:read|executed)\b", r"\btold of\b", r"\bneeds a person\b", r"\bperson must look\b",
    r"\bbring world and ledger\b", r"\bthe world is as\b", r"\bnothing fits\b", r"\bunder way\b", r"\bwas made again\b",
)
FOUND = re.compile("|".join(PHRASES), re.IGNORECASE)
NAMES_FORMER_TEXTS = {"glossary.md", "upgrading.md", "CHANGELOG.md"}  # what to write instead, and what was written before
TEMPLATE_CODE = re.compile(r"\{#.*?#\}|i-mend|'mend'", re.DOTALL)  # comments, and the name of a picture


def faults(text: str) -> list[str]:
    """Return the phrases in that text."""
    return [match[0] for match in FOUND.finditer(text)]


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every string that is no docstring; of an f-string, its pieces."""
    parsed = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {id(node.body[0].value) for node in ast.walk(parsed)
            if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(parsed):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def test_no_text_of_the_product_has_one() -> None:
    every = [(path, *found) for path in tree.python_files("deployctl", "web") for found in texts(path.read_text("utf-8"))]
    assert [f"{path}:{line} {fault}" for path, line, text in every for fault in faults(text)] == []


def test_no_page_has_one() -> None:
    pages = sorted((tree.ROOT / "web").rglob("*.html"))
    assert pages
    found = [(page.name, fault) for page in pages for fault in faults(TEMPLATE_CODE.sub("", page.read_text("utf-8")))]
    assert found == []


def test_no_page_of_the_docs_has_one() -> None:
    every = (*tree.ROOT.glob("*.md"), *(tree.ROOT / "docs").glob("*.md"))
    pages = [page for page in every if page.name not in NAMES_FORMER_TEXTS]
    assert len(pages) > 5
    assert [(page.name, fault) for page in sorted(pages) for fault in faults(page.read_text("utf-8"))] == []


@pytest.mark.parametrize("text", ["is still at it after 3 s", "Whoever asks", "it is made anew", "nobody serves", "told of it",
                                  "end his sessions", "Mend: deployctl reconcile", "Docker does not answer"])
def test_the_check_sees_a_phrase(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize("text", ["this version", "recommended", "history", "behaves", "straight", "amended"])
def test_the_check_lets_words_pass_that_only_look_alike(text: str) -> None:
    assert not faults(text)
