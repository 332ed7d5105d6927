"""Every command that the docs print is one that can be typed: its verb and its flags exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from deployctl.cli.group import ROOT
from tests.guards import tree

PAGES = [tree.ROOT / "README.md", *sorted(tree.ROOT.glob("docs/*.md"))]
_BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`(deployctl [^`]+)`")
_TYPED = re.compile(r"(?:^|[\s(])(?<![\w/.-])deployctl (?=[a-z-])([^\n#;&|)]*)")
FEWEST = 60  # a pattern that finds nothing would pass


def documented() -> Iterator[str]:
    """Yield what stands behind `deployctl` in every block and every piece of code, once."""
    seen = set[str]()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for code in [*_BLOCK.findall(text), *_CODE.findall(_BLOCK.sub("", text))]:
            for typed in _TYPED.findall(code):
                if typed not in seen:
                    seen.add(typed)
                    yield typed.strip()


COMMANDS = list(documented())


def words_of(typed: str) -> list[str]:
    """Return its words; of `user add`/`list` and the like, where the shell would stop, as many as can be read."""
    try:
        return shlex.split(typed)
    except ValueError:  # a quote that goes on in the next line
        return typed.split()


def why_wrong(typed: str) -> str | None:
    command: click.Command = ROOT
    context = click.Context(ROOT)
    flags = {flag for param in ROOT.params for flag in param.opts}
    valued = [param for param in ROOT.params if isinstance(param, click.Option) and not param.is_flag]
    takes_value = {flag for param in valued for flag in param.opts}
    words = iter(words_of(typed))
    for word in words:
        if word == "--":  # the rest is another program's
            return None
        if word in takes_value:
            next(words, None)
        elif isinstance(command, click.Group) and not word.startswith("-"):
            found = command.get_command(context, word)
            if found is None:
                return f"no verb {word!r}"
            command = found
            flags |= {flag for param in command.params for flag in param.opts}
        elif word.startswith("-") and len(word) > 1 and word.partition("=")[0] not in flags:
            return f"no flag {word!r}"
    return None


@pytest.mark.parametrize("typed", COMMANDS)
def test_a_command_in_the_docs_can_be_typed(typed: str) -> None:
    assert why_wrong(typed) is None


def test_many_commands_are_found_and_a_wrong_one_is_seen() -> None:
    assert len(COMMANDS) > FEWEST
    assert why_wrong("rollbak shop") == "no verb 'rollbak'"
    assert why_wrong("rollback shop --hurry") == "no flag '--hurry'"
    assert why_wrong("user nobody mara") == "no verb 'nobody'"
