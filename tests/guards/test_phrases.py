"""Phrases that crept in, word for word from another language or of our own making, stay out of what people read.

docs/glossary.md has the word to write instead. Texts of the product, templates of the dashboard and the docs have one list;
docstrings and comments, of tests and benchmarks too, have another one, since they also speak of texts.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
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
PROSE = re.compile("|".join((
    r"\bwhoever\b", r"\banew\b", r"\bnobody serves\b", r"\bserves nobody\b", r"\bwho serves\b", r"\bhis\b",
    r"\bhe (?:may|has|is)\b", r"\bmend(?:s|ed|ing)?\b", r"\bon trial\b", r"\bway back\b", r"\bstable address\b",
    r"\bour seal\b", r"\b(?:be|is|are|was|were) told\b", r"\btold of\b", r"\bunder way\b", r"\bto be known\b",
    r"\ball the same\b", r"\bput back\b", r"\btak(?:e|es|en) back\b", r"\bnone of ours\b", r"\bfor ever\b",
    r"\bHAProxy's (?:own )?word\b", r"\b(?:is|was|are|still) at it\b", r"\bgo(?:es|ing)? back\b", r"\b(?:is|and) dear\b",
    r"\bdear to\b", r"\bsomebody else's\b", r"\bhangs up\b", r"\bhung up\b", r"\bmove[sd]? (?:of )?(?:the )?traffic\b",
    r"\bcop(?:y|ies) of the ledger\b", r"\bas things are\b", r"\buntil now\b", r"\bgoe?s? on with\b",
    r"\blift(?:s|ed)? the hold\b", r"\bin nobody's way\b", r"\bproven healthy\b",
)), re.IGNORECASE)
NAMES_FORMER_TEXTS = {"glossary.md", "upgrading.md", "CHANGELOG.md"}  # what to write instead, and what was written before
TEMPLATE_CODE = re.compile(r"\{#.*?#\}", re.DOTALL)  # comments


def faults(text: str) -> list[str]:
    """Return the phrases in that text."""
    return [match[0] for match in FOUND.finditer(text)]


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every docstring, on one line, and of every comment."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, " ".join(text.split())
    yield from ((token.start[0], token.string) for token in tokenize.generate_tokens(io.StringIO(source).readline)
                if token.type == tokenize.COMMENT)


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


def test_no_docstring_or_comment_has_one() -> None:
    files = tree.python_files("deployctl", "web", "bench", "tests")
    assert len(files) > 500
    assert [f"{path}:{line} {match[0]}" for path in files for line, text in prose(path.read_text("utf-8"))
            for match in PROSE.finditer(text)] == []


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


@pytest.mark.parametrize("source", ['"""Whoever\nasks."""', "x = 1  # somebody is at it", "def f():\n    'It is told.'"])
def test_the_check_sees_a_phrase_in_a_docstring_or_a_comment(source: str) -> None:
    assert [match for _, text in prose(source) for match in PROSE.finditer(text)]


@pytest.mark.parametrize("text", ["this version", "recommended", "history", "behaves", "straight", "amended"])
def test_the_check_lets_words_pass_that_only_look_alike(text: str) -> None:
    assert not faults(text)
