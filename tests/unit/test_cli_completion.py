"""TAB offers commands, apps, and versions with their state; when it cannot, it offers nothing and says nothing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployctl.config.settings import Settings
from deployctl.errors import LedgerUnusable
from deployctl.ports import Reporter, Services
from deployctl.testing.fake_engine import Behaviour
from tests.unit.cli_world import Said, World, world

Tab = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[World]:
    """shop serves v2, v3 is warm and on hold, v1 was stopped and v4 failed."""
    with world(tmp_path) as made:
        made.add_app("shop", "v1", "v2", "v3", "v4")
        image = made.engine.images.find("acme/shop:v4")
        assert image is not None
        made.engine.behaviours[image.digest] = Behaviour(exits=1)
        for words, code in (("upgrade v1", 0), ("upgrade v3", 0), ("upgrade v2", 0), ("hold v3", 0), ("upgrade v4", 1)):
            assert made.deployctl(*words.split()).code == code
        yield made


@pytest.fixture
def tab(home: World, monkeypatch: pytest.MonkeyPatch) -> Tab:
    """Press TAB in fish after these words, the last of which is incomplete."""

    def press(*words: str) -> Said:
        monkeypatch.setenv("COMP_WORDS", " ".join(["deployctl", *words[:-1]]))
        monkeypatch.setenv("COMP_CWORD", words[-1])
        return home.deployctl(environ={"_DEPLOYCTL_COMPLETE": "fish_complete"})

    return press


def offered(said: Said) -> dict[str, str]:
    assert (said.code, said.err) == (0, "")
    lines = [line.removeprefix("plain,") for line in said.out.splitlines() if line]
    return {name: state for name, _, state in (line.partition("\t") for line in lines)}


def test_commands_come_with_their_line_and_without_aliases(tab: Tab) -> None:
    assert offered(tab("ro")) == {"rollback": "Switch traffic back to the last good version."}
    assert set(offered(tab("app", ""))) == {"list", "remove"}
    assert "ps" not in offered(tab(""))


def test_after_an_alias_comes_what_comes_after_the_command_itself(tab: Tab) -> None:
    assert offered(tab("deploy", "shop", "")) == offered(tab("upgrade", "shop", ""))
    assert offered(tab("user", "end", "")) == offered(tab("user", "logout", "")) == {}


def test_versions_come_with_their_state(tab: Tab) -> None:
    assert offered(tab("rollback", "shop", "")) == {
        "v4": "failed", "v2": "active", "v3": "on hold, standby, warm", "v1": "stopped"}  # fmt: skip


def test_the_only_app_may_be_left_out(tab: Tab) -> None:
    assert {"shop", "v1"} <= set(offered(tab("upgrade", "")))
    assert set(offered(tab("diff", "v1", ""))) == {"v2", "v3", "v4"}
    assert offered(tab("undo", "")) == {"shop": "127.0.0.1:8000"}


def test_what_was_typed_filters_and_nothing_follows_the_last_word(tab: Tab) -> None:
    assert set(offered(tab("rollback", "shop", "v3"))) == {"v3"}
    assert offered(tab("rollback", "shop", "v3", "")) == {}
    assert offered(tab("undo", "shop", "")) == {}


def test_with_two_apps_versions_wait_for_the_app(home: World, tab: Tab) -> None:
    home.add_app("web", "v1", port=8001)
    assert offered(tab("rollback", "")) == {"shop": "127.0.0.1:8000", "web": "not deployed"}
    assert "v2" in offered(tab("rollback", "shop", ""))
    assert offered(tab("rollback", "web", "")) == {}


def test_flags_and_their_values_are_offered(tab: Tab) -> None:
    assert "--dry-run" in offered(tab("rollback", "--"))
    assert set(offered(tab("status", "-o", ""))) == {"table", "wide", "json", "jsonl", "tsv"}


def test_a_failure_is_silent(home: World, tab: Tab) -> None:
    home.fails = LedgerUnusable("the ledger is damaged")
    assert offered(tab("rollback", "")) == {}


def test_slowness_is_silent_and_short(home: World, tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(settings: Settings, reporter: Reporter) -> Services:
        time.sleep(20)
        raise AssertionError("nobody stopped it")

    monkeypatch.setattr(home, "connect", hang)
    started = time.monotonic()
    assert offered(tab("rollback", "")) == {}
    assert time.monotonic() - started < 5


def test_a_home_without_a_ledger_has_apps_by_their_files_and_gets_no_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as bare:
        bare.add_app("shop")
        monkeypatch.setenv("COMP_WORDS", "deployctl upgrade")
        monkeypatch.setenv("COMP_CWORD", "")
        assert offered(bare.deployctl(environ={"_DEPLOYCTL_COMPLETE": "fish_complete"})) == {"shop": ""}
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("options", ["tcsh_complete", "bash_dance", "x"])
def test_a_wish_that_is_not_known_offers_nothing(home: World, options: str) -> None:
    said = home.deployctl(environ={"_DEPLOYCTL_COMPLETE": options})
    assert (said.code, said.out, said.err) == (1, "", "")


def test_the_script_of_bash_is_bash(home: World) -> None:
    script = home.deployctl("completion", "bash").out
    assert "_DEPLOYCTL_COMPLETE=bash_complete" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, timeout=20, check=False).returncode == 0
    assert home.deployctl("completion", "tcsh").code == 2
