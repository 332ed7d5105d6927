"""Words in, an answer and an exit code out: every command, on a home in memory."""

from __future__ import annotations

import re
import shlex
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from deployctl.cli.main import clear_limit, limit
from deployctl.cli.session import CommandCall
from deployctl.execution.interrupts import shielded
from deployctl.ports import LogLine
from deployctl.testing.fake_images import made_up
from deployctl.verbs.table import ALIASES
from deployctl.verbs.table import VERBS as CATALOGUE
from tests.unit.cli_world import Said, World, shop, world

VERBS = list(CATALOGUE)
HOMELESS = {"HOME": "", "XDG_DATA_HOME": ""}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[World]:
    """One app, shop, with images v1 to v4; nothing is deployed yet."""
    with shop(tmp_path) as made:
        yield made


def serving(home: World) -> str | None:
    active = home.deployctl("status", "shop", "-o", "json").json["apps"][0]["active"]
    return active["version"] if active else None


# -- help ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", VERBS)
def test_every_command_explains_itself_without_home_ledger_or_engine(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as bare:
        said = bare.deployctl(*name.split(), "-h", environ=HOMELESS)
        assert (said.code, said.err, bare.connected) == (0, "", 0)
        assert CATALOGUE[name].line.split(".")[0][:40] in said.out
        assert said.out.startswith(f"Usage: deployctl {name}")
        helped = bare.deployctl("help", *name.split())
        assert helped.out == said.out
        assert bare.deployctl(*name.split(), "-h", "--json").json["text"] in said.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", VERBS)
def test_help_fits_a_narrow_terminal_and_an_ascii_one(home: World, name: str) -> None:
    said = home.deployctl(*name.split(), "-h", tty=True, encoding="ascii", environ={"COLUMNS": "80"})
    assert said.out.isascii()
    texts = [line for line in said.out.splitlines() if not line.startswith("  deployctl ")]
    assert max(map(len, texts)) <= 80


def test_the_help_names_every_command_and_no_alias(home: World) -> None:
    text = home.deployctl("-h").out
    assert all(f"  {name}" in text for name in VERBS if " " not in name)
    assert not any(f"  {alias} " in text for alias in ALIASES)


@pytest.mark.parametrize("name", VERBS)
def test_every_example_is_a_command_line_that_is_understood(home: World, name: str) -> None:
    entry = CATALOGUE[name]
    assert entry.examples
    for example in entry.examples:
        words = shlex.split(example.partition(" > ")[0].partition(" -- ")[0])  # behind -- is another program's
        assert " ".join(words).startswith(name)
        assert home.deployctl(*words, "-h").code == 0
    assert all(word in CATALOGUE for word in entry.see)


def test_help_of_what_is_no_command_is_a_usage_error(home: World) -> None:
    assert home.deployctl("help", "rolback").err.startswith('✗ No command "rolback". Did you mean rollback?')
    assert home.deployctl("help", "status", "shop").code == 2


# -- the first words -------------------------------------------------------------------------------------------
def test_alone_it_shows_three_first_steps_and_makes_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as bare:
        said = bare.deployctl()
    assert [line.split()[1] for line in said.out.splitlines()] == ["demo", "init", "doctor"]
    assert list(tmp_path.iterdir()) == []


def test_alone_it_shows_the_status_once_there_is_a_ledger(two: World) -> None:
    assert two.deployctl().out == two.deployctl("status").out


@pytest.mark.parametrize("words", [("version",), ("--version",)])
def test_the_version_is_told_as_text_and_as_json(home: World, words: tuple[str, ...]) -> None:
    version = home.deployctl(*words, "--json").json["version"] if words == ("version",) else home.deployctl(
        "--json", *words).json["version"]
    assert home.deployctl(*words).out == f"deployctl {version}\n"


# -- changing verbs --------------------------------------------------------------------------------------------
def test_upgrade_tells_what_serves_and_how_to_go_back(two: World) -> None:
    said = two.deployctl("upgrade", "shop", "v3", "-m", "a third")
    assert said.out.startswith("✓ shop v3 is live with 100 % of traffic. Ready in ")
    assert said.out.endswith("v2 stays warm. Roll back: deployctl rollback shop\n")
    assert two.deployctl("history", "-o", "json").json["changes"][0]["note"] == "a third"


def test_rollback_and_undo_tell_the_way_on(two: World) -> None:
    back = two.deployctl("rollback", "shop")
    assert back.out.splitlines()[0].startswith("✓ shop is back on v1 (blue). Switched in ")
    assert "v2 is on hold" in back.out
    assert "Undo: deployctl undo shop" in back.out
    undone = two.deployctl("undo", "shop", "--json").json
    assert (undone["from"], undone["to"], undone["released"]) == ("v1", "v2", ["v2"])


def test_progress_is_on_stderr_and_the_answer_on_stdout(home: World) -> None:
    said = home.deployctl("upgrade", "v1")
    assert "shop health: GET / 3 of 3 good answers" in said.err
    assert "health:" not in said.out
    assert home.deployctl("upgrade", "v2", "-q").err == ""


@pytest.mark.parametrize("words", ["upgrade v3", "rollback", "undo", "start v3", "stop v1", "prune"])
def test_a_dry_run_shows_the_plan_and_changes_nothing(two: World, words: str) -> None:
    verb = words.split()
    before, calls = two.deployctl("status", "-o", "json").json, len(two.engine.calls)
    said = two.deployctl(*verb, "--dry-run", "--json")
    assert (said.code, said.json["kind"]) == (0, "Plan")
    assert two.deployctl(*verb, "-n", "--exit-code").code == (10 if said.json["steps"] else 0)
    assert two.deployctl("status", "-o", "json").json == before
    assert len(two.engine.calls) == calls


def test_exit_code_without_a_dry_run_is_refused(two: World) -> None:
    assert two.deployctl("rollback", "--exit-code").code == 2
    assert serving(two) == "v2"


def test_env_goes_on_top_of_the_file(home: World) -> None:
    assert home.deployctl("upgrade", "v1", "--env", "MODE=a=b", "--env", "EMPTY=").code == 0
    bundle = home.deployctl("show", "v1", "-o", "json").json["bundle"]
    assert bundle["env"] == [["EMPTY", ""], ["MODE", "a=b"]]


@pytest.mark.parametrize("env", ["MODE", "=x", "A B=1", "DEPLOYCTL_HOME=/x", "A=\0"])
def test_a_wrong_variable_is_refused_before_anything_is_asked(home: World, env: str) -> None:
    said = home.deployctl("upgrade", "v1", "--env", env)
    assert (said.code, home.connected) == (2, 0)


@pytest.mark.parametrize("flags", [["--image", ""], ["-m", " "], ["--image", "--yes"], ["--home", ""], ["--env", ""],
                                   ["--lock-wait", "5"], ["--lock-wait", "-5s"], ["--if-revision", "-1"],
                                   ["--timeout", "0s"], ["--timeout", "soon"], ["-o", "yaml"], ["--detach"]])
def test_wrong_and_empty_values_are_usage_errors_in_text_and_json(home: World, flags: list[str]) -> None:
    assert home.deployctl("upgrade", "v1", *flags).code == 2
    said = home.deployctl("upgrade", "v1", *flags, "--json")
    assert (said.code, said.json["ok"], home.connected) == (2, False, 0)


# -- questions -------------------------------------------------------------------------------------------------
def test_stopping_the_active_version_asks_and_takes_no_for_an_answer(two: World) -> None:
    for typed in ("n\n", "\n", ""):
        said = two.deployctl("stop", "shop", "v2", typed=typed)
        assert (said.code, said.out) == (5, "")
        assert "Stop it? [y/N]" in said.err
        assert "Not confirmed. Nothing was changed." in said.err
    assert serving(two) == "v2"


def test_yes_is_yes(two: World) -> None:
    assert two.deployctl("stop", "shop", "v2", typed="y\n").code == 0
    assert serving(two) is None


def test_where_nobody_may_be_asked_the_flag_is_named(two: World) -> None:
    nobody = two.deployctl("stop", "shop", "v2")
    told = two.deployctl("stop", "shop", "v2", "--no-input", typed="y\n")
    wished = two.deployctl("stop", "shop", "v2", typed="y\n", environ={"DEPLOYCTL_NO_INPUT": "1"})
    for said in (nobody, told, wished):
        assert said.code == 5
        assert "-y" in said.err
        assert "shop v2 is live with 100 % of traffic" in said.err


def test_yes_beforehand_answers_every_question_the_typed_one_too(two: World) -> None:
    assert two.deployctl("-y", "stop", "shop", "v2").code == 0
    assert two.deployctl("app", "remove", "shop", "--yes").code == 0


def test_an_app_is_removed_only_by_its_name(two: World) -> None:
    assert two.deployctl("app", "remove").code == 2
    for typed in ("y\n", "shopp\n"):
        assert two.deployctl("app", "remove", "shop", typed=typed).code == 5
    assert two.deployctl("app", "remove", "shop", typed="shop\n").code == 0


# -- which app, which version ----------------------------------------------------------------------------------
def test_the_only_app_may_be_left_out_and_the_choice_is_said(two: World) -> None:
    said = two.deployctl("rollback")
    assert said.err.splitlines()[0] == "rollback: shop (the only app)"
    assert serving(two) == "v1"


def test_one_word_of_rollback_is_the_app_if_there_is_one_of_that_name_else_the_version(two: World) -> None:
    assert two.deployctl("rollback", "v1", "--json").json["to"] == "v1"
    assert two.deployctl("undo").code == 0
    assert two.deployctl("rollback", "shop", "--json").json["to"] == "v1"


@pytest.mark.parametrize("words", [["upgrade", "shop"], ["upgrade"], ["show", "shop"], ["diff", "shop"], ["hold"]])
def test_a_missing_version_is_named(two: World, words: list[str]) -> None:
    said = two.deployctl(*words)
    assert said.code == 2
    assert "requires a version" in said.err


@pytest.mark.parametrize("words", ["upgrade v1", "rollback", "undo", "logs", "history", "prune", "diff v1"])
def test_with_two_apps_one_must_be_chosen(two: World, words: str) -> None:
    two.add_app("web", "v1", port=8001)
    said = two.deployctl(*words.split())
    assert said.code == 2
    assert "Which app? One of: shop, web." in said.err


@pytest.mark.parametrize(("words", "meant"), [
    (["rollback", "shpo"], "shop"), (["history", "shp"], "shop"), (["upgrade", "shp", "v1"], "shop"),
    (["rollback", "shop", "v11"], "v1"), (["diff", "shop", "v1", "v22"], "v2"), (["logs", "shop", "v11"], "v1"),
])  # fmt: skip
def test_a_typo_gets_the_nearest_name(two: World, words: list[str], meant: str) -> None:
    said = two.deployctl(*words)
    assert said.code == 3
    assert f"Did you mean {meant}?" in said.err


def test_too_many_words_are_refused(two: World) -> None:
    for words in (["undo", "shop", "v1"], ["rollback", "shop", "v1", "v2"], ["status", "shop", "v1"]):
        assert two.deployctl(*words).code == 2


@pytest.mark.parametrize("name", ["-h", "--help", "--force", "-1", "../images/victim:1", "a; disable frontend other",
                                  "a\nset server x", "$(touch /tmp/p)", "ѕhop", "", "x" * 200, "\u202eshop", "\udcff"])
@pytest.mark.parametrize("verb", ["upgrade", "rollback", "show", "logs", "stop", "hold", "diff"])
def test_what_is_no_name_is_refused_before_anything_is_asked(home: World, verb: str, name: str) -> None:
    for words in ([name, "v1"], ["shop", name], [name]):
        said = home.deployctl(verb, "--", *words)
        assert (said.code, home.connected) == (2, 0)
        assert name not in said.err or name.isascii()
        assert "\n\n" not in said.err


# -- ends that come early --------------------------------------------------------------------------------------
def interrupted(home: World, *words: str, by: BaseException | None = None) -> Said:
    def ask(_asked: object) -> int:
        if by is not None and threading.current_thread() is threading.main_thread():  # as Ctrl-C does
            raise by
        if by is None:
            time.sleep(20)
        return 200

    home.prober.script = ask
    said = home.deployctl(*words)
    home.prober.script = lambda _asked: 200
    return said


def test_ctrl_c_before_the_switch_takes_everything_back(two: World) -> None:
    said = interrupted(two, "upgrade", "v3", by=KeyboardInterrupt())
    assert said.code == 130
    assert "Nothing changed: shop v2 is live with 100 % of traffic" in said.err
    assert serving(two) == "v2"


@pytest.mark.parametrize("flags", [["--timeout", "300ms", "upgrade", "v3"], ["upgrade", "v3", "--timeout", "300ms"]])
def test_the_time_limit_takes_everything_back_and_exits_with_1(two: World, flags: list[str]) -> None:
    started = time.monotonic()
    said = interrupted(two, *flags, "--json")
    assert time.monotonic() - started < 15
    assert (said.code, said.json["error"]["code"]) == (1, "timeout")
    assert said.json["serving"]["version"] == "v2"
    assert "--timeout" in said.json["error"]["message"]
    assert serving(two) == "v2"


def test_a_limit_that_is_not_reached_changes_nothing_later(two: World) -> None:
    assert two.deployctl("status", "--timeout", "200ms").code == 0
    time.sleep(0.3)


def test_watching_ends_well_with_ctrl_c_and_badly_with_the_limit(two: World) -> None:
    interrupted_later(two, tty=False)
    assert two.deployctl("status", "-w", "--timeout", "300ms").code == 1


def test_a_limit_inside_the_few_protected_steps_waits_for_their_end(home: World) -> None:
    session = CommandCall(home.connect)
    reached = False
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012  what matters is where it is raised
        with shielded():
            limit(session, 0.02)
            time.sleep(0.2)
            reached = True
        raise AssertionError("it was forgotten")
    clear_limit()
    assert reached
    assert session.timed_out


def test_following_logs_ends_well_with_ctrl_c(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def lines(*_container: str, **_options: object) -> Iterator[LogLine]:
        yield LogLine("2026-11-23T14:00:00Z", "stdout", "hello")

    def pressed(*_anything: object, **_more: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(two.engine, "logs", lines)
    monkeypatch.setattr(two.clock, "sleep", pressed)
    said = two.deployctl("logs", "shop", "-f")
    assert (said.code, said.out) == (0, "".join(f"{v}       2026-11-23T14:00:00Z hello\n" for v in ("v1", "v2")))
    monkeypatch.setattr(two.engine, "logs", pressed)
    assert two.deployctl("logs", "shop").code == 130


def test_watching_redraws_on_a_terminal_only(two: World) -> None:
    on_terminal = interrupted_later(two, tty=True)
    in_pipe = interrupted_later(two, tty=False)
    assert on_terminal.out.startswith("\x1b[H\x1b[2J")
    assert "\x1b" not in in_pipe.out
    assert in_pipe.out.startswith("APP ")


def interrupted_later(home: World, *, tty: bool) -> Said:
    """Watch until Ctrl-C comes half a second later."""
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    try:
        said = home.deployctl("status", "-w", tty=tty, environ={"COLUMNS": "100"})
    finally:
        timer.cancel()
    assert said.code == 0
    return said


# -- what a registry says ---------------------------------------------------------------------------------------
MAIN = "acme/shop:main"


@pytest.fixture
def moved(home: World) -> World:
    """main serves, and its registry has another build by now."""
    home.engine.images.publish(MAIN, made_up("A"))
    assert home.deployctl("upgrade", "shop", "main").code == 0
    home.engine.images.publish(MAIN, made_up("B"))
    return home


def test_a_tag_that_moved_is_told_by_dry_run_and_upgrade_alike(moved: World) -> None:
    shown = moved.deployctl("upgrade", "shop", "main", "--dry-run", "--exit-code")
    said = moved.deployctl("upgrade", "shop", "main")
    [line] = [line.strip() for line in said.out.splitlines() if "main moved" in line]
    assert re.fullmatch(r"main moved: [0-9a-f]{12} → [0-9a-f]{12}", line)
    assert (shown.code, said.code) == (10, 0)
    assert line in shown.out
    again = moved.deployctl("upgrade", "shop", "main", "--dry-run", "--exit-code")
    assert (again.code, again.out) == (0, "shop main is already live. Nothing to do.\n")


def test_a_tag_that_moved_is_told_in_json_with_both_digests(moved: World) -> None:
    told = moved.deployctl("upgrade", "shop", "main", "-o", "json").json["image"]
    assert (told["code"], told["reference"]) == ("tag_moved", MAIN)
    assert all(told[name].startswith("sha256:") for name in ("from_digest", "to_digest"))


def test_a_registry_that_is_away_is_told_and_stops_only_always(moved: World) -> None:
    moved.engine.images.registry_away = "the registry is away"
    said = moved.deployctl("upgrade", "shop", "main")
    assert (said.code, "the image on this server is used: the registry is away" in said.both) == (0, True)
    refused = moved.deployctl("upgrade", "shop", "main", "--pull", "always", "-o", "json")
    assert (refused.code, refused.json["error"]["code"]) == (7, "registry_unavailable")
    asked = len(moved.engine.images.asked)
    assert moved.deployctl("upgrade", "shop", "main", "--pull", "never").code == 0
    assert len(moved.engine.images.asked) == asked


def test_start_takes_the_same_word(moved: World) -> None:
    assert "is already running" in moved.deployctl("start", "shop", "main", "--pull", "missing").out
    assert "main moved" in moved.deployctl("start", "shop", "main").out


def test_another_word_of_pull_is_a_mistake(home: World) -> None:
    assert home.deployctl("upgrade", "shop", "v1", "--pull", "sometimes").code == 2
