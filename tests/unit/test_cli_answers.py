"""What comes back: errors with their exit code, and every answer in every form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl import errors
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.endurance import Frail, Frailty
from deployctl.domain.proxy.trust import DroppedFront
from deployctl.testing.fake_engine import Behaviour
from deployctl.usecases.change.rollback import rollback
from deployctl.verbs.table import ALIASES
from tests.unit.cli_world import World, shop
from tests.unit.world import Told, wish_of_before


@pytest.fixture
def home(tmp_path: Path) -> Iterator[World]:
    """One app, shop, with images v1 to v4; nothing is deployed yet."""
    with shop(tmp_path) as made:
        yield made


def serving(home: World) -> str | None:
    active = home.deployctl("status", "shop", "-o", "json").json["apps"][0]["active"]
    return active["version"] if active else None


# -- errors ----------------------------------------------------------------------------------------------------
EVERY_ERROR = [kind for kind in vars(errors).values()
               if isinstance(kind, type) and issubclass(kind, errors.DeployctlError)]


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_every_error_has_its_exit_code_and_its_json(home: World, kind: type[errors.DeployctlError]) -> None:
    home.fails = kind("it went wrong")
    home.fails.serving = errors.Serving("shop", "v1", 1, 3, None)
    said = home.deployctl("status")
    assert (said.code, said.out) == (kind.exit_code, "")
    assert said.err.startswith("✗ it went wrong\n  ")
    told = home.deployctl("status", "-o", "json")
    assert told.code == kind.exit_code
    assert told.json["error"]["message"] == "it went wrong"
    assert told.json["serving"] == {"app": "shop", "version": "v1", "release": 1, "revision": 3, "address": None}
    assert told.err == ""


def test_a_failure_ends_with_what_serves_and_the_last_lines(two: World) -> None:
    image = two.engine.images.find("acme/shop:v3")
    assert image is not None
    two.engine.behaviours[image.digest] = Behaviour(exits=1, prints=("DATABASE_URL is not set",))
    said = two.deployctl("upgrade", "shop", "v3")
    lines = said.err.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("✗ v3 "))
    assert said.code == 1
    assert lines[first + 1] == "  Nothing changed: shop v2 is live with 100 % of traffic on 127.0.0.1:8000."
    assert any("DATABASE_URL is not set" in line for line in lines[first + 2 :])
    assert "  See: deployctl logs shop v3" in lines
    assert serving(two) == "v2"


def test_a_stale_revision_is_refused(two: World) -> None:
    assert two.deployctl("rollback", "shop", "--if-revision", "1").code == 5
    assert two.deployctl("rollback", "shop", "--if-revision", "2").code == 0


def test_verbose_names_the_cause(home: World) -> None:
    home.fails = errors.EngineUnavailable("Docker is not responding")
    home.fails.__cause__ = OSError("connection refused")
    assert "caused by OSError: connection refused" in home.deployctl("-v", "status").err


@pytest.mark.parametrize(("raised", "code"), [(PermissionError(13, "Permission denied", "/srv/x"), 8),
                                              (OSError(28, "No space left on device"), 1), (KeyboardInterrupt(), 130)])
def test_what_the_system_says_is_told_in_a_sentence(home: World, raised: BaseException, code: int) -> None:
    home.fails = raised
    assert home.deployctl("status").code == code
    assert home.deployctl("status", "--json").json["ok"] is False


# -- unknown words ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("words", [["rolback"], ["app", "lst"], ["status", "--wach"], ["upgrade", "-Z"], ["app"]])
def test_an_unknown_word_is_a_usage_error_with_a_hint(home: World, words: list[str]) -> None:
    said = home.deployctl(*words)
    assert (said.code, said.out) == (2, "")
    assert "deployctl" in said.err
    for flags in (["-o", "json"], ["--json"], ["-ojson"], ["--output=json"]):
        assert home.deployctl(*flags, *words).json["error"]["code"] == "usage"
    assert home.deployctl(*words, environ={"DEPLOYCTL_OUTPUT": "json"}).json["error"]["code"] == "usage"


def test_control_characters_in_a_wrong_word_stay_visible(home: World) -> None:
    assert "\x1b" not in home.deployctl("\x1b[31mred").err
    assert "\x1b" not in home.deployctl("status", "--\x1b[31m").err


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_works_and_says_the_real_name_once(two: World, alias: str, name: str) -> None:
    two.deployctl("user", "add", "mara", "--role", "viewer")
    words = {"deploy": ["v2"], "remark": ["-m", "why"], "user end": ["mara"]}.get(alias, [])
    said = two.deployctl(*alias.split(), *words)
    assert said.code == 0
    assert said.err.count("is an alias of") == 1
    assert f"deployctl {name}" in said.err


# -- forms -----------------------------------------------------------------------------------------------------
LOOKS = [["status"], ["status", "shop"], ["history"], ["show", "v1"], ["diff", "v1"], ["logs"], ["doctor"],
         ["app", "list"], ["version"], ["help"], ["completion", "bash"], ["upgrade", "v2"],
         ["rollback", "--dry-run"], ["hold", "v1"], ["abort"], ["prune"], ["start", "v1"], ["stop", "v1"],
         []]  # fmt: skip


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_json_is_one_object_before_and_after_the_verb(two: World, words: list[str]) -> None:
    before = two.deployctl("-o", "json", *words)
    assert before.json["schema"] == "deployctl/v1"
    assert before.out.count("\n") == 1
    assert two.deployctl(*words, "--json").json["kind"] == before.json["kind"]


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_every_answer_has_every_form(two: World, words: list[str]) -> None:
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
    assert two.deployctl("history", "-o", "tsv", environ={"DEPLOYCTL_OUTPUT": "json"}).out.startswith("rev\t")


def test_json_of_undecodable_text_is_still_json(two: World) -> None:
    assert two.deployctl("hold", "v1", "-m", "caf\udce9 → ü").code == 0
    said = two.deployctl("show", "v1", "--json", encoding="ascii")
    assert said.out.isascii()
    assert said.json["hold"]["reason"].endswith("ü")


def note_of_before(two: World, note: str) -> None:
    """Roll back with a note that was not validated."""
    rollback(AppName("shop"), two.connect(two.settings, Told()), version=None, options=wish_of_before(note))


@pytest.mark.parametrize("form", ["json", "jsonl", "tsv"])
def test_nothing_in_a_note_acts_on_the_terminal_of_whoever_reads_json_and_nothing_is_lost(two: World, form: str) -> None:
    note = "".join(chr(code) for code in (*range(1, 32), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F),
                                          *range(0x2066, 0x206A))) + "é → \U0001f600"
    note_of_before(two, note)
    for words in (["history"], ["audit"], ["status"], ["show"]):
        said = two.deployctl(*words, "-o", form, tty=True, environ={"COLUMNS": "80"}).out
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", said), words
    told = two.deployctl("history", "-o", "json", tty=True)
    assert told.json["changes"][0]["note"] == note
    assert "é → \U0001f600" in told.out, "what only is read stays readable"


def test_nothing_in_a_note_reaches_the_terminal_raw(two: World) -> None:
    note_of_before(two, "\x1b]0;owned\x07 \u202e done")
    assert two.deployctl("history", tty=True, environ={"COLUMNS": "200"}).out.count("\x1b") == 4  # bold headers
    assert "\\x1b]0;owned\\x07" in two.deployctl("history").out


# -- looking ---------------------------------------------------------------------------------------------------
def test_status_reads_even_where_the_engine_is_away(two: World) -> None:
    two.engine.away = "connection refused"
    said = two.deployctl("status")
    assert said.code == 0
    assert "! Docker: Docker is not responding" in said.out


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
    assert home.deployctl("logs", "v1", "--grep", "hello", "-o", "jsonl").json["message"] == "hello from v1"
    assert home.deployctl("logs", "--since", "10m", "-n", "1", "-o", "tsv").out.count("\n") == 2


def test_what_has_no_end_is_no_single_object(two: World) -> None:
    assert two.deployctl("logs", "-f", "-o", "json").code == 2
    assert two.deployctl("status", "-w", "-o", "json").json["error"]["code"] == "usage"


def test_a_front_that_is_not_believed_is_named_with_the_line_to_add(two: World) -> None:
    two.traffic.fronts = {AppName("shop"): DroppedFront("nginx (pid 812)")}
    for said in (two.deployctl("doctor"), two.deployctl("upgrade", "shop", "v2")):
        told = " ".join((said.out + said.err).split())
        assert said.code == 0
        assert "nginx (pid 812) on this machine sends X-Forwarded-For to shop" in told
        assert 'trusted_proxies = ["127.0.0.0/8", "::1/128"] to config/shop.toml' in told


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
    assert "init: the app is named web" in said.err
    assert "listen = 8001" in (home.settings.config_dir / "web.toml").read_text()
    assert home.deployctl("init", "web", "--image", "acme/web:v1", "--port", "80").code == 5
    assert home.deployctl("init", "web", "--image", "acme/web:v1", "--port", "80", "--force").code == 0
    assert home.deployctl("status").code == 0


@pytest.mark.parametrize("flags", [["--listen", "8000"], ["--listen", "0.0.0.0:8000"]])
def test_init_refuses_an_address_that_is_taken_and_writes_nothing(home: World, flags: list[str]) -> None:
    home.engine.images.add("acme/web:v1")
    said = home.deployctl("init", "web", "--image", "acme/web:v1", "--port", "80", *flags)
    assert said.code in {2, 5}
    assert "shop" in said.err
    assert not (home.settings.config_dir / "web.toml").exists()


def test_init_refuses_a_port_where_another_program_listens(home: World) -> None:
    home.guard.taken.add(("127.0.0.1", 8055))
    said = home.deployctl("init", "web", "--image", "acme/web:v1", "--port", "80", "--listen", "8055")
    assert said.code == 5
    assert "taken by another program; nothing was written" in said.err


def test_a_file_that_claims_what_another_app_serves_at_hinders_only_itself(two: World) -> None:
    text = (two.settings.config_dir / "shop.toml").read_text()
    (two.settings.config_dir / "blog.toml").write_text(text)
    assert two.deployctl("upgrade", "shop", "v3").code == 0
    said = two.deployctl("upgrade", "blog", "v1")
    assert said.code == 2
    assert "is taken" in said.err


@pytest.mark.parametrize(("typed", "flags", "code"), [("y\n", [], 0), ("n\n", [], 2), (None, ["-y"], 0), (None, [], 2)])
def test_init_offers_to_pull_an_image_that_is_not_here(home: World, typed: str | None, flags: list[str], code: int) -> None:
    here = home.engine.images.add("acme/web:v1")
    home.engine.images.drop(here.digest)
    home.engine.images.publish("acme/web:v1", replace(here, tags=(), ports=(8080,)))
    said = home.deployctl("init", "web", "--image", "acme/web:v1", *flags, typed=typed)
    assert said.code == code
    assert (home.settings.config_dir / "web.toml").exists() is (code == 0)
    if typed:
        assert "acme/web:v1 is not on this server. Pull it" in said.err


def test_init_asks_only_for_the_image(home: World) -> None:
    assert home.deployctl("init").code == 2
    said = home.deployctl("init", "web", "--port", "80", typed="acme/web\n")
    assert said.code == 0
    assert said.err.startswith("Image, for example")


def test_what_haproxy_would_end_with_is_told_by_doctor_and_by_upgrade(two: World) -> None:
    two.traffic.frail = (Frail(Frailty.GROUP, "/ci/job.service"), Frail(Frailty.FILES, "1024"))
    for said in (two.deployctl("doctor"), two.deployctl("upgrade", "shop", "v2")):
        told = " ".join((said.out + said.err).split())
        assert said.code == 0
        assert "control group /ci/job.service" in told
        assert "deployctl install" in told
        assert "may open 1024 files" in told
