"""Words in, an answer and an exit code out: every command, on a home in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl import errors
from deployctl.cli.catalogue import ALIASES, CATALOGUE
from deployctl.testing.fake_engine import Behaviour
from tests.unit.cli_world import Said, World, world

VERBS = list(CATALOGUE)
HOMELESS = {"HOME": "", "XDG_DATA_HOME": ""}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[World]:
    """One app, shop, with images v1 to v4; nothing is deployed yet."""
    with world(tmp_path) as made:
        made.add_app("shop", "v1", "v2", "v3", "v4")
        yield made


@pytest.fixture
def two(home: World) -> World:
    """shop serves v2, v1 stands by."""
    assert home.deployctl("upgrade", "shop", "v1").code == 0
    assert home.deployctl("upgrade", "shop", "v2").code == 0
    return home


def serving(home: World) -> str | None:
    active = home.deployctl("status", "shop", "-o", "json").json["apps"][0]["active"]
    return active["version"] if active else None


# -- help -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", VERBS)
def test_every_command_explains_itself_without_home_ledger_or_engine(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as bare:
        said = bare.deployctl(*name.split(), "-h", **HOMELESS)
        assert (said.code, said.err, bare.connected) == (0, "", 0)
        assert CATALOGUE[name].line.split(".")[0][:40] in said.out
        assert said.out.startswith(f"Usage: deployctl {name}")
        helped = bare.deployctl("help", *name.split())
        assert helped.out == said.out
        assert bare.deployctl(*name.split(), "-h", "--json").json["text"] in said.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", VERBS)
def test_help_fits_a_narrow_terminal_and_an_ascii_one(home: World, name: str) -> None:
    said = home.deployctl(*name.split(), "-h", tty=True, encoding="ascii", COLUMNS="80")
    assert said.out.isascii()
    texts = [line for line in said.out.splitlines() if not line.startswith("  deployctl ")]
    assert max(map(len, texts)) <= 80


def test_the_help_names_every_command_and_no_alias(home: World) -> None:
    text = home.deployctl("-h").out
    assert all(f"  {name}" in text for name in VERBS if " " not in name)
    assert not any(f"  {alias} " in text for alias in ALIASES)


@pytest.mark.parametrize("name", VERBS)
def test_examples_are_two_lines_that_the_command_takes(name: str) -> None:
    entry = CATALOGUE[name]
    assert name == "app" or len(entry.examples) in {1, 2}
    assert all(f" {example}".replace(" source <(deployctl", "").split()[: len(name.split())] == name.split()
               for example in entry.examples) or name == "app"
    assert all(word in CATALOGUE for word in entry.see)


def test_help_of_what_is_no_command_is_a_usage_error(home: World) -> None:
    assert home.deployctl("help", "rolback").err.startswith('✗ No command "rolback". Did you mean rollback?')
    assert home.deployctl("help", "status", "shop").code == 2


# -- the first words ----------------------------------------------------------------------------------------------------
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


# -- changing verbs -------------------------------------------------------------------------------------------------------
def test_upgrade_tells_what_serves_and_how_to_go_back(two: World) -> None:
    said = two.deployctl("upgrade", "shop", "v3", "-m", "a third")
    assert said.out.startswith("✓ v3 serves 100 % of shop. Ready in ")
    assert said.out.endswith("v2 stays warm. Back: deployctl rollback shop\n")
    assert two.deployctl("history", "-o", "json").json["changes"][0]["note"] == "a third"


def test_rollback_and_undo_tell_the_way_on(two: World) -> None:
    back = two.deployctl("rollback", "shop")
    assert back.out.splitlines()[0].startswith("✓ shop is back on v1 (blue). Switched in ")
    assert "v2 is on hold" in back.out
    assert "Undo: deployctl undo shop" in back.out
    undone = two.deployctl("undo", "shop", "--json").json
    assert (undone["from"], undone["to"], undone["lifted"]) == ("v1", "v2", ["v2"])


def test_progress_is_on_stderr_and_the_answer_on_stdout(home: World) -> None:
    said = home.deployctl("upgrade", "v1")
    assert "shop health: GET / 3 of 3 good answers" in said.err
    assert "health:" not in said.out
    assert home.deployctl("upgrade", "v2", "-q").err == ""


@pytest.mark.parametrize("verb", [["upgrade", "v3"], ["rollback"], ["undo"], ["start", "v3"], ["stop", "v1"], ["prune"]])
def test_a_dry_run_shows_the_plan_and_changes_nothing(two: World, verb: list[str]) -> None:
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


# -- questions --------------------------------------------------------------------------------------------------------------
def test_stopping_the_active_version_asks_and_takes_no_for_an_answer(two: World) -> None:
    for typed in ("n\n", "\n", ""):
        said = two.deployctl("stop", "shop", "v2", typed=typed)
        assert (said.code, said.out) == (5, "")
        assert "Stop it? [y/N]" in said.err
        assert "Not confirmed. Nothing was done." in said.err
    assert serving(two) == "v2"


def test_yes_is_yes(two: World) -> None:
    assert two.deployctl("stop", "shop", "v2", typed="y\n").code == 0
    assert serving(two) is None


@pytest.mark.parametrize("more", [{}, {"typed": "y\n", "flag": "--no-input"}, {"typed": "y\n", "DEPLOYCTL_NO_INPUT": "1"}])
def test_where_nobody_may_be_asked_the_flag_is_named(two: World, more: dict[str, str]) -> None:
    flags = [more.pop("flag")] if "flag" in more else []
    said = two.deployctl("stop", "shop", "v2", *flags, **more)
    assert said.code == 5
    assert "-y" in said.err
    assert "v2 serves 100 % of shop" in said.err


def test_yes_beforehand_answers_every_question_the_typed_one_too(two: World) -> None:
    assert two.deployctl("-y", "stop", "shop", "v2").code == 0
    assert two.deployctl("app", "remove", "shop", "--yes").code == 0


def test_an_app_is_removed_only_by_its_name(two: World) -> None:
    assert two.deployctl("app", "remove").code == 2
    for typed in ("y\n", "shopp\n"):
        assert two.deployctl("app", "remove", "shop", typed=typed).code == 5
    assert two.deployctl("app", "remove", "shop", typed="shop\n").code == 0


# -- which app, which version -------------------------------------------------------------------------------------------------
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
    assert "needs a version" in said.err


@pytest.mark.parametrize("words", [["upgrade", "v1"], ["rollback"], ["undo"], ["logs"], ["history"], ["prune"], ["diff", "v1"]])
def test_with_two_apps_one_must_be_chosen(two: World, words: list[str]) -> None:
    two.add_app("web", "v1", port=8001)
    said = two.deployctl(*words)
    assert said.code == 2
    assert "Which app? There are shop, web." in said.err


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


# -- errors ---------------------------------------------------------------------------------------------------------------
EVERY_ERROR = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DeployctlError)]


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_every_error_has_its_exit_code_and_its_json(home: World, kind: type[errors.DeployctlError]) -> None:
    home.fails = kind("it went wrong")
    home.fails.serving = {"app": "shop", "version": "v1"}
    said = home.deployctl("status")
    assert (said.code, said.out) == (kind.exit_code, "")
    assert said.err.startswith("✗ it went wrong\n  ")
    told = home.deployctl("status", "-o", "json")
    assert told.code == kind.exit_code
    assert told.json["error"]["message"] == "it went wrong"
    assert told.json["serving"] == {"app": "shop", "version": "v1"}
    assert told.err == ""


def test_a_failure_ends_with_what_serves_and_the_last_lines(two: World) -> None:
    image = two.engine.images.find("acme/shop:v3")
    assert image is not None
    two.engine.behaviours[image.digest] = Behaviour(exits=1, prints=("DATABASE_URL is not set",))
    said = two.deployctl("upgrade", "shop", "v3")
    lines = said.err.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("✗ v3 "))
    assert said.code == 1
    assert lines[first + 1] == "  Nothing changed: v2 serves 100 % of shop on 127.0.0.1:8000."
    assert any("DATABASE_URL is not set" in line for line in lines[first + 2 :])
    assert "  Look: deployctl logs shop v3" in lines
    assert serving(two) == "v2"


def test_a_stale_revision_is_refused(two: World) -> None:
    assert two.deployctl("rollback", "shop", "--if-revision", "1").code == 5
    assert two.deployctl("rollback", "shop", "--if-revision", "2").code == 0


def test_verbose_names_the_cause(home: World) -> None:
    home.fails = errors.EngineUnavailable("Docker does not answer")
    home.fails.__cause__ = OSError("connection refused")
    assert "because of OSError: connection refused" in home.deployctl("-v", "status").err


@pytest.mark.parametrize(("raised", "code"), [(PermissionError(13, "Permission denied", "/srv/x"), 8),
                                              (OSError(28, "No space left on device"), 1), (KeyboardInterrupt(), 130)])
def test_what_the_system_says_is_told_in_a_sentence(home: World, raised: BaseException, code: int) -> None:
    home.fails = raised
    assert home.deployctl("status").code == code
    assert home.deployctl("status", "--json").json["ok"] is False


# -- unknown words ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("words", [["rolback"], ["app", "lst"], ["status", "--wach"], ["upgrade", "-Z"], ["app"]])
def test_an_unknown_word_is_a_usage_error_with_a_hint(home: World, words: list[str]) -> None:
    said = home.deployctl(*words)
    assert (said.code, said.out) == (2, "")
    assert "deployctl" in said.err
    for flags in (["-o", "json"], ["--json"], ["-ojson"], ["--output=json"]):
        assert home.deployctl(*flags, *words).json["error"]["code"] == "usage"
    assert home.deployctl(*words, DEPLOYCTL_OUTPUT="json").json["error"]["code"] == "usage"


def test_control_characters_in_a_wrong_word_stay_visible(home: World) -> None:
    assert "\x1b" not in home.deployctl("\x1b[31mred").err
    assert "\x1b" not in home.deployctl("status", "--\x1b[31m").err


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_works_and_says_the_real_name_once(two: World, alias: str, name: str) -> None:
    words = ["v2"] if alias == "deploy" else []
    said = two.deployctl(alias, *words)
    assert said.code == 0
    assert said.err.count("is called") == 1
    assert f"deployctl {name}" in said.err


# -- forms ----------------------------------------------------------------------------------------------------------------------
LOOKS = [["status"], ["status", "shop"], ["history"], ["show", "v1"], ["diff", "v1"], ["logs"], ["doctor"], ["app", "list"],
         ["version"], ["help"], ["completion", "bash"], ["upgrade", "v2"], ["rollback", "--dry-run"], ["hold", "v1"],
         ["abort"], ["prune"], ["start", "v1"], ["stop", "v1"], []]  # fmt: skip


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_json_is_one_object_before_and_after_the_verb(two: World, words: list[str]) -> None:
    before = two.deployctl("-o", "json", *words)
    assert before.json["schema"] == "deployctl/v1"
    assert before.out.count("\n") == 1
    assert two.deployctl(*words, "--json").json["kind"] == before.json["kind"]


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_every_answer_has_every_form(two: World, words: list[str]) -> None:
    import json

    for form in ("table", "wide", "tsv", "jsonl"):
        said = two.deployctl(*words, "-o", form)
        assert said.code == 0
        if form == "jsonl":
            assert all(isinstance(json.loads(line), dict) for line in said.out.splitlines())


def test_jsonl_is_one_line_for_each_thing(two: World) -> None:
    assert two.deployctl("history", "-o", "jsonl").out.count("\n") == 2
    assert two.deployctl("app", "list", "-o", "tsv").out == "app\taddress\nshop\t127.0.0.1:8000\n"


def test_a_later_form_wins_over_an_earlier_one_and_over_the_environment(two: World) -> None:
    assert two.deployctl("--json", "history", "-o", "tsv").out.startswith("rev\t")
    assert two.deployctl("history", "-o", "tsv", DEPLOYCTL_OUTPUT="json").out.startswith("rev\t")


def test_json_of_undecodable_text_is_still_json(two: World) -> None:
    assert two.deployctl("hold", "v1", "-m", "caf\udce9 → ü").code == 0
    said = two.deployctl("show", "v1", "--json", encoding="ascii")
    assert said.out.isascii()
    assert said.json["hold"]["reason"].endswith("ü")


def test_nothing_in_a_note_reaches_the_terminal_raw(two: World) -> None:
    two.deployctl("rollback", "-m", "\x1b]0;owned\x07 \u202e done")
    assert two.deployctl("history", tty=True, COLUMNS="200").out.count("\x1b") == 2  # the header is bold
    assert "\\x1b]0;owned\\x07" in two.deployctl("history").out


# -- looking ----------------------------------------------------------------------------------------------------------------------
def test_status_reads_even_where_the_engine_is_away(two: World) -> None:
    two.engine.away = "connection refused"
    said = two.deployctl("status")
    assert said.code == 0
    assert "! Docker: Docker does not answer" in said.out


def test_diff_exits_with_10_only_when_asked_and_different(two: World) -> None:
    assert two.deployctl("diff", "v1").code == 0
    assert two.deployctl("diff", "v1", "v2", "--exit-code").code == 10
    assert two.deployctl("diff", "shop", "v2", "--exit-code").code == 0


def test_logs_have_a_column_for_the_version(home: World) -> None:
    for version in ("v1", "v2"):
        image = home.engine.images.find(f"acme/shop:{version}")
        assert image is not None
        home.engine.behaviours[image.digest] = Behaviour(prints=(f"hello from {version}", "\x1b[31mred"))
        home.deployctl("upgrade", version)
    said = home.deployctl("logs")
    assert [line.split()[0] for line in said.out.splitlines()] == ["v1", "v1", "v2", "v2"]
    assert "\x1b" not in said.out
    assert home.deployctl("logs", "v1", "--grep", "hello", "-o", "jsonl").json["text"] == "hello from v1"
    assert home.deployctl("logs", "--since", "10m", "-n", "1", "-o", "tsv").out.count("\n") == 2


def test_what_has_no_end_is_no_single_object(two: World) -> None:
    assert two.deployctl("logs", "-f", "-o", "json").code == 2
    assert two.deployctl("status", "-w", "-o", "json").json["error"]["code"] == "usage"


def test_doctor_exits_with_1_when_something_must_be_mended(two: World) -> None:
    assert two.deployctl("doctor").code == 0
    two.engine.away = "connection refused"
    said = two.deployctl("doctor")
    assert said.code == 1
    assert "Fix: " in said.out
    assert two.deployctl("doctor", "--json").json["ok"] is False


def test_doctor_works_where_nothing_else_does(home: World) -> None:
    home.fails = errors.LedgerUnusable("the ledger is damaged", remedy=["restore it"])
    said = home.deployctl("doctor")
    assert said.code == 1
    assert "the ledger is damaged" in said.out


def test_init_writes_a_file_that_upgrade_takes(home: World) -> None:
    home.engine.images.add("acme/web:v1")
    said = home.deployctl("init", "--image", "acme/web:v1", "--port", "80", "--health", "/")
    assert said.code == 0
    assert "init: the app is called web" in said.err
    assert "listen = 8001" in home.settings.app_file("web").read_text()  # type: ignore[arg-type]  a test may name it
    assert home.deployctl("init", "web", "--image", "acme/web:v1", "--port", "80").code == 5
    assert home.deployctl("init", "web", "--image", "acme/web:v1", "--port", "80", "--force").code == 0
    assert home.deployctl("status").code == 0


def test_init_asks_only_for_the_image(home: World) -> None:
    assert home.deployctl("init").code == 2
    said = home.deployctl("init", "web", "--port", "80", typed="acme/web\n")
    assert said.code == 0
    assert said.err.startswith("Image, for example")


# -- ends that come early -----------------------------------------------------------------------------------------------------------
def interrupted(home: World, *words: str, by: BaseException | None = None) -> Said:
    def ask(_asked: object) -> int:
        if by is not None:
            raise by
        time.sleep(20)
        return 200

    home.prober.script = ask
    said = home.deployctl(*words)
    home.prober.script = lambda _asked: 200
    return said


def test_ctrl_c_before_the_switch_takes_everything_back(two: World) -> None:
    said = interrupted(two, "upgrade", "v3", by=KeyboardInterrupt())
    assert said.code == 130
    assert "Nothing changed: v2 serves 100 % of shop" in said.err
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
    said = interrupted(two, "status", "-w", by=KeyboardInterrupt())
    assert said.code == 0
    assert two.deployctl("status", "-w", "--timeout", "300ms").code == 1
