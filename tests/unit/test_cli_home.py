"""Every answer says which home it speaks of where that is not plain, and what only looks makes no home."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployctl.cli.main import run
from deployctl.cli.session import CommandCall
from tests.unit.cli_world import Screen, World, shop

LOOKS = ("status", "app list", "history shop", "show shop v1", "diff shop v1 v2", "logs shop", "audit", "user list",
         "token list", "doctor", "reconcile --dry-run", "ledger verify", "rollback shop", "undo shop", "stop shop v1", "prune")


@dataclass
class Typed:
    code: int
    out: str
    err: str


@pytest.fixture
def two(tmp_path: Path) -> Iterator[World]:
    with shop(tmp_path / "srv", "v1", "v2") as found:
        yield found


def typed(w: World, *argv: str, cwd: Path, tty: bool = True, home: str | None = None, **environ: str) -> Typed:
    out, err = Screen(tty=tty, encoding="utf-8"), Screen(tty=tty, encoding="utf-8")
    session = CommandCall(connect=w.connect, connect_over=w.connect_over, out=out, err=err, stdin=Screen("", tty=False),
                      environ={"HOME": str(cwd), **environ}, cwd=cwd, home=home)
    return Typed(run(argv, session), out.getvalue(), err.getvalue())


def test_a_home_that_was_found_by_looking_around_is_named_on_a_terminal(two: World) -> None:
    line = f"home {two.home}"
    assert line in typed(two, "status", cwd=two.home).err
    assert line in typed(two, "status", "-v", cwd=Path("/"), home=str(two.home)).err
    for said in (typed(two, "status", cwd=Path("/"), home=str(two.home)), typed(two, "status", "-q", cwd=two.home),
                 typed(two, "status", cwd=Path("/"), DEPLOYCTL_HOME=str(two.home)),
                 typed(two, "status", cwd=two.home, tty=False)):
        assert line not in said.err


def test_json_names_the_home(two: World) -> None:
    for words in ("status", "history shop", "app list", "rollback shop"):
        assert json.loads(typed(two, *words.split(), "-o", "json", cwd=two.home).out)["home"] == str(two.home)


@pytest.mark.parametrize("words", LOOKS)
def test_what_looks_or_needs_an_app_makes_nothing_where_there_is_no_home(two: World, tmp_path: Path, words: str) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    said = typed(two, *words.split(), cwd=nowhere, tty=False)
    assert list(nowhere.iterdir()) == []
    assert str(nowhere) in said.out + said.err


def test_a_status_without_a_home_names_the_homes_on_this_engine(two: World, tmp_path: Path) -> None:
    said = typed(two, "status", cwd=tmp_path, tty=False)
    assert said.code == 0
    assert f"deployctl --home {two.home} status" in said.out
    told = json.loads(typed(two, "status", "-o", "json", cwd=tmp_path, tty=False).out)
    assert [home["path"] for home in told["other_homes"]] == [str(two.home)]
