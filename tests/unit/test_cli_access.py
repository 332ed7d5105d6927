"""`user`, `token` and `audit` as they are typed: a secret comes out once and is nowhere else, what is final is asked."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.domain.host.access import Origin, Role, parse_days
from deployctl.errors import Invalid
from deployctl.ports import Services
from deployctl.testing.silent_reporter import SilentReporter
from deployctl.usecases.access.sign_in import find_session, sign_in, sign_in_by_link
from deployctl.usecases.access.tokens import create_token, find_token
from tests.unit.cli_world import World, shop, world

HERE = Origin("127.0.0.1", "a browser")
PHRASE = "correct horse battery"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[World]:
    with shop(tmp_path, "v1", "v2") as made:
        yield made


@pytest.fixture
def mara(home: World) -> World:
    """mara is the admin."""
    assert home.deployctl("user", "add", "mara", "--role", "admin").code == 0
    return home


def services(home: World) -> Services:
    return home.connect(home.settings, SilentReporter())


def secret_of(url: str) -> str:
    found = re.fullmatch(r"http://127\.0\.0\.1:8900/start/([\w-]{43})", url)
    assert found, url
    return found[1]


# -- people --------------------------------------------------------------------------------------------------------
def test_the_first_admin_gets_a_link_that_signs_in_once(home: World) -> None:
    said = home.deployctl("user", "add", "mara", "--role", "admin")
    first, within, link = said.out.splitlines()
    assert (said.code, first) == (0, "✓ mara can sign in as admin")
    assert "15 min" in within
    s = services(home)
    who = find_session(sign_in_by_link(secret_of(link.strip()), HERE, s), s)
    assert who
    assert (who.name, who.may(Role.ADMIN, None)) == ("mara", True)
    assert home.deployctl("user", "list", "-o", "json").json["users"][0]["sessions"] == 1
    assert f"deployctl --home {home.home} serve" in said.err


def test_who_is_there_already_hears_that_and_where_somebody_serves_nothing_more_is_said(mara: World) -> None:
    assert mara.deployctl("user", "add", "mara").code == 5
    mara.guard.taken.add(("127.0.0.1", 8900))
    assert mara.deployctl("user", "link", "mara").err == ""


def test_without_a_role_one_may_only_look_and_an_app_limits_it(home: World) -> None:
    told = home.deployctl("user", "add", "jonas", "-o", "json").json
    assert (told["kind"], told["roles"], told["password"]) == ("User", {"*": "viewer"}, False)
    assert re.match(r"2026-01-01T00:15", told["link"]["expires_at"])
    secret_of(told["link"]["url"])
    more = home.deployctl("user", "add", "lea", "--role", "deployer", "--app", "shop", "--app", "web", "--json").json
    assert more["roles"] == {"shop": "deployer", "web": "deployer"}


def test_quiet_is_the_link_alone(mara: World) -> None:
    said = mara.deployctl("user", "link", "mara", "-q")
    assert (said.code, said.err) == (0, "")
    assert secret_of(said.out.strip())


@pytest.mark.parametrize(("words", "code"), [
    ("user add Mara", 2), ("user add -- --x", 2), ("user add m --role root", 2), ("user add m --app ../x", 2),
    ("user add", 2), ("user link nobody", 3), ("user role nobody admin", 3), ("user role mara boss", 2),
    ("user role mara none", 5), ("user remove nobody", 3), ("user logout nobody", 3), ("user logout mara 99", 3),
    ("user sessions nobody", 3), ("user password nobody", 3), ("user", 2), ("user nobody", 2), ("token revoke ci", 3),
    ("token create", 2), ("token create ci --scope all", 2), ("token create ci --expires 0d", 2),
    ("token create ci --expires soon", 2), ("token create CI", 2), ("audit nowhere", 3), ("audit --limit 0", 2),
    ("audit shop more", 2),
])  # fmt: skip
def test_every_mistake_has_its_exit_code_and_changes_nothing(mara: World, words: str, code: int) -> None:
    before = mara.deployctl("user", "list", "--json").json, mara.deployctl("token", "list", "--json").json
    said = mara.deployctl(*words.split(), "-o", "json")
    assert said.code == code, said
    assert (mara.deployctl("user", "list", "--json").json, mara.deployctl("token", "list", "--json").json) == before


def test_a_role_is_given_and_taken_away(mara: World) -> None:
    mara.deployctl("user", "add", "jonas")
    assert "jonas is now viewer, deployer for shop" in mara.deployctl("user", "role", "jonas", "deployer", "--app", "shop").out
    assert "jonas is now viewer" in mara.deployctl("user", "role", "jonas", "none", "--app", "shop").out
    told = mara.deployctl("user", "role", "jonas", "none", "-o", "json").json
    assert (told["kind"], told["roles"], told["summary"]) == ("User", {}, "jonas is now none")


def test_sessions_are_listed_and_ended(mara: World) -> None:
    s = services(mara)
    for _ in range(3):
        sign_in_by_link(mara.deployctl("user", "link", "mara", "-q").out.strip().rpartition("/")[2], HERE, s)
    shown = mara.deployctl("user", "sessions", "mara", "--json").json["sessions"]
    assert [one["address"] for one in shown] == ["127.0.0.1"] * 3
    assert "hash" not in shown[0]
    assert mara.deployctl("user", "end", "mara", str(shown[0]["id"])).out == "✓ 1 session of mara ended\n"
    assert mara.deployctl("user", "end", "mara").out == "✓ 2 sessions of mara ended\n"
    again = mara.deployctl("user", "end", "mara", "--json").json
    assert (again["changed"], again["summary"]) == (False, "mara has no active sessions")


def test_removing_asks_first_and_takes_no_for_an_answer(mara: World) -> None:
    mara.deployctl("user", "add", "jonas")
    assert mara.deployctl("user", "remove", "jonas").code == 5
    refused = mara.deployctl("user", "remove", "jonas", typed="n\n")
    assert (refused.code, "Remove jonas? [y/N]" in refused.err) == (5, True)
    assert mara.deployctl("user", "remove", "jonas", typed="y\n").code == 0
    assert mara.deployctl("user", "remove", "mara", "--yes").code == 5, "the last admin stays"
    assert [user["name"] for user in mara.deployctl("user", "list", "--json").json["users"]] == ["mara"]


# -- passwords -----------------------------------------------------------------------------------------------------
def with_input(home: World, text: str, *words: str) -> int:
    """Run it with that text on a standard input that is no terminal."""
    from deployctl.cli.main import run
    from deployctl.cli.session import CommandCall
    from tests.unit.cli_world import Screen

    session = CommandCall(connect=home.connect, out=Screen(), err=Screen(), stdin=Screen(text), environ=home.environ,
                      cwd=home.home, home=str(home.home))
    return run(words, session)


def test_a_password_comes_from_standard_input_as_it_is(mara: World) -> None:
    assert with_input(mara, f"  {PHRASE} \r\nmore\n", "user", "password", "mara") == 0
    s = services(mara)
    assert find_session(sign_in("mara", f"  {PHRASE} ", HERE, s), s)


@pytest.mark.parametrize("text", ["", "\n", "   \n", "short\n", "x" * 5000, "\udce4" * 20])
def test_what_is_no_password_is_refused(mara: World, text: str) -> None:
    assert with_input(mara, text, "user", "password", "mara") == 2
    assert mara.deployctl("user", "list", "--json").json["users"][0]["password"] is False


def test_at_a_terminal_it_is_typed_twice(mara: World) -> None:
    other = mara.deployctl("user", "password", "mara", typed=f"{PHRASE}\nsomething else\n")
    assert (other.code, "do not match" in other.err) == (2, True)
    said = mara.deployctl("user", "password", "mara", typed=f"{PHRASE}\n{PHRASE}\n")
    assert (said.code, PHRASE in said.both) == (0, False)
    assert mara.deployctl("user", "password", "mara", "--no-input", typed=f"{PHRASE}\n{PHRASE}\n").code == 2
    assert mara.deployctl("user", "password", "mara", "--password", "x").code == 2, "there is no such flag"


def test_the_terminal_does_not_show_what_is_typed_and_shows_again_what_comes_after(mara: World) -> None:
    ours, theirs = pty.openpty()
    child = subprocess.Popen([sys.executable, "-m", "deployctl", "--home", str(mara.home), "user", "password", "mara"],
                             stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    with child:
        try:
            seen = b""
            for question in (b"Password for mara: ", b"Confirm password: ", b"was set"):
                while question not in seen:
                    assert select.select([ours], [], [], 30)[0], seen
                    seen += os.read(ours, 4096)
                os.write(ours, f"{PHRASE}\n".encode() if question.endswith(b" ") else b"")
            assert child.wait(timeout=30) == 0
        finally:
            child.kill()
    assert PHRASE.encode() not in seen
    import termios

    assert termios.tcgetattr(theirs)[3] & termios.ECHO
    os.close(ours)
    os.close(theirs)


# -- tokens --------------------------------------------------------------------------------------------------------
def test_a_token_is_shown_once_and_revoked(mara: World) -> None:
    said = mara.deployctl("token", "create", "ci", "--scope", "deploy", "--app", "shop")
    assert said.code == 0
    [secret] = re.findall(r"dctl_[\w-]{43}", said.both)
    assert secret in said.out
    who = find_token(secret, services(mara), address="10.0.0.9")
    assert who
    assert who.roles == {"shop": Role.DEPLOYER}
    listed = mara.deployctl("token", "list")
    assert (secret in listed.both, "deployer for shop" in listed.out, "in use" in listed.out) == (False, True, True)
    assert mara.deployctl("token", "create", "ci").code == 5
    assert mara.deployctl("token", "revoke", "ci").code == 5, "nobody was there to say yes"
    assert mara.deployctl("token", "revoke", "ci", "-y").out == "✓ token ci is revoked\n"
    assert find_token(secret, services(mara), address="10.0.0.9") is None
    assert mara.deployctl("token", "list", "--json").json["tokens"][0]["state"] == "revoked"


def test_a_token_in_json_and_quiet(mara: World) -> None:
    told = mara.deployctl("token", "create", "ci", "--expires", "12h", "-o", "json").json
    assert (told["kind"], told["roles"], told["state"]) == ("Token", {"*": "viewer"}, "in_use")
    assert told["expires_at"].startswith("2026-01-01T12:0")
    assert told["secret"].startswith("dctl_")
    said = mara.deployctl("token", "create", "grafana", "--expires", "never", "-q")
    assert re.fullmatch(r"dctl_[\w-]{43}\n", said.out)
    assert said.err == ""
    assert mara.deployctl("token", "list", "--json").json["tokens"][0]["expires_at"] is None


@pytest.mark.parametrize(("text", "days"), [("90d", 90.0), ("12h", 0.5), ("never", None), ("9999d", 9999.0)])
def test_how_long_a_token_is_good_for(text: str, days: float | None) -> None:
    assert parse_days(text) == days


@pytest.mark.parametrize("text", ["", "90", "0d", "-1d", "1.5d", "90 d", "NEVER", "99999d", "1w", "９d"])
def test_what_is_no_span_of_a_token_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_days(text)


def test_no_secret_is_in_the_home_but_as_a_hash(mara: World) -> None:
    secrets = [mara.deployctl("token", "create", "ci", "-q").out.strip(),
               mara.deployctl("user", "link", "mara", "-q").out.strip().rpartition("/")[2], PHRASE]
    assert with_input(mara, f"{PHRASE}\n", "user", "password", "mara") == 0
    told = mara.deployctl("audit", "-o", "jsonl").out
    files = b"".join(path.read_bytes() for path in mara.home.rglob("*") if path.is_file())
    for secret in secrets:
        assert secret
        assert secret not in told
        assert secret.encode() not in files


# -- audit ---------------------------------------------------------------------------------------------------------
def test_the_audit_tells_who_did_what_in_every_form(mara: World) -> None:
    mara.deployctl("rollback", "shop", "-m", "checkout 500s")
    entries = [json.loads(line) for line in mara.deployctl("audit", "-o", "jsonl").out.splitlines()]
    assert [entry["what"] for entry in entries] == ["rollback", "link_created", "user_added", "upgrade", "upgrade"]
    newest = entries[0]
    assert (newest["who"], newest["how"], newest["before"], newest["after"]) == ("mara", "cli", 2, 3)
    assert (newest["result"], newest["note"]) == ("done", "checkout 500s")
    whole = mara.deployctl("audit", "--json").json
    assert (whole["kind"], whole["entries"]) == ("Audit", entries)
    assert mara.deployctl("audit", "-o", "tsv").out.splitlines()[0].split("\t")[:5] == [
        "when", "who", "how", "app", "what happened"]
    assert "rollback: v2 → v1 (checkout 500s)" in mara.deployctl("audit").out


def test_the_audit_is_narrowed_and_paged(mara: World) -> None:
    def ids(*words: str) -> list[int]:
        return [json.loads(line)["id"] for line in mara.deployctl("audit", *words, "-o", "jsonl").out.splitlines()]

    every = ids()
    assert ids("shop") == ids("--kind", "upgrade") == every[-2:]
    assert ids("-n", "1") == every[:1]
    assert ids("--before", str(every[0])) == every[1:]
    assert ids("--user", "mara") == every
    assert ids("--user", "jonas") == []
    assert mara.deployctl("audit", "--user", "jonas").out == "No matching entries.\n"


def test_tab_offers_people_tokens_and_apps(mara: World, monkeypatch: pytest.MonkeyPatch) -> None:
    mara.deployctl("token", "create", "ci", "--app", "shop")

    def tab(*words: str) -> set[str]:
        monkeypatch.setenv("COMP_WORDS", " ".join(["deployctl", *words[:-1]]))
        monkeypatch.setenv("COMP_CWORD", words[-1])
        said = mara.deployctl(environ={"_DEPLOYCTL_COMPLETE": "fish_complete"})
        assert said.err == ""
        return {line.removeprefix("plain,").partition("\t")[0] for line in said.out.splitlines() if line}

    assert tab("user", "link", "") == {"mara"}
    assert tab("user", "add", "") == set()
    assert tab("user", "role", "mara", "") == {"viewer", "deployer", "admin", "none"}
    assert tab("token", "revoke", "") == {"ci"}
    assert tab("token", "create", "x", "--scope", "") == {"read", "deploy", "admin"}
    assert tab("token", "create", "x", "--app", "") == tab("audit", "s") == {"shop"}
    assert tab("audit", "--user", "") == {"mara"}


def test_tab_in_a_home_without_a_ledger_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path) as bare:
        monkeypatch.setenv("COMP_WORDS", "deployctl user link")
        monkeypatch.setenv("COMP_CWORD", "")
        said = bare.deployctl(environ={"_DEPLOYCTL_COMPLETE": "fish_complete"})
        assert (said.code, said.both.strip(), bare.connected) == (0, "", 0)
    assert list(tmp_path.iterdir()) == []


# -- tokens that end with their person ----------------------------------------------------------------------------------
@pytest.fixture
def tokens(mara: World) -> World:
    """jonas is an admin, too, and has the tokens ci and look."""
    mara.deployctl("user", "add", "jonas", "--role", "admin")
    s = services(mara)
    for name in ("ci", "look"):
        create_token(name, {"*": Role.VIEWER}, s, owner="jonas")
    return mara


def owners(home: World) -> dict[str, str | None]:
    listed = home.deployctl("token", "list", "--json").json["tokens"]
    return {one["name"]: one["owner"] for one in listed if one["state"] == "in_use"}


def test_a_terminal_is_told_of_the_tokens_and_asked_for_who_takes_them_over(tokens: World) -> None:
    asked = tokens.deployctl("user", "remove", "jonas", typed="y\nmara\n")
    assert "These tokens lose their rights together with jonas:" in asked.err
    assert "ci (viewer), last used never" in asked.err
    assert "tokens now owned by mara: ci, look" in asked.out
    assert owners(tokens) == {"ci": "mara", "look": "mara"}


def test_an_empty_answer_ends_them_and_a_wrong_one_does_nothing(tokens: World) -> None:
    assert tokens.deployctl("user", "role", "jonas", "viewer", typed="nobody\n").code == 5
    assert owners(tokens) == {"ci": "jonas", "look": "jonas"}
    assert "tokens revoked: ci, look" in tokens.deployctl("user", "role", "jonas", "viewer", typed="\n").out
    assert owners(tokens) == {}


def test_the_question_names_the_tokens_also_where_nobody_can_be_asked_for_an_heir(tokens: World) -> None:
    refused = tokens.deployctl("user", "remove", "jonas", "--no-input")
    assert refused.code == 5
    assert "these tokens are revoked, too, unless --hand-over names another admin: ci, look." in refused.err
    assert "tokens" not in tokens.deployctl("user", "remove", "jonas", "--no-input", "--hand-over", "mara").err
    assert owners(tokens) == {"ci": "jonas", "look": "jonas"}


@pytest.mark.parametrize("words", [("remove", "jonas", "--yes"), ("role", "jonas", "none"), ("role", "jonas", "deployer")])
def test_unanswered_they_end(tokens: World, words: tuple[str, ...]) -> None:
    told = tokens.deployctl("user", *words, "-o", "json").json
    assert (told["tokens_ended"], owners(tokens)) == (["ci", "look"], {})


@pytest.mark.parametrize("words", [("remove", "jonas", "--yes"), ("role", "jonas", "viewer")])
def test_the_flag_hands_them_over(tokens: World, words: tuple[str, ...]) -> None:
    assert tokens.deployctl("user", *words, "--hand-over", "nobody").code == 5
    told = tokens.deployctl("user", *words, "--hand-over", "mara", "-o", "json").json
    assert (told["tokens_handed_over"], owners(tokens)) == (["ci", "look"], {"ci": "mara", "look": "mara"})


def test_nothing_is_asked_where_nothing_ends(tokens: World) -> None:
    assert tokens.deployctl("user", "role", "jonas", "viewer", "--app", "shop", typed="").err == ""
    assert owners(tokens) == {"ci": "jonas", "look": "jonas"}
