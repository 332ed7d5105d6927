"""People, sessions and tokens: what signs in, how long, who may do what, and what the audit says of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import process_time

import pytest

from deployctl.domain.host.access import (
    Origin,
    Principal,
    Role,
    given,
    parse_person,
    parse_role,
    roles_text,
    wait_after,
)
from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError, Invalid, NotFound, Refused
from deployctl.usecases.access import passwords
from deployctl.usecases.access.passwords import TooManyTries
from deployctl.usecases.access.sign_in import (
    SESSION_IDLE_SECONDS,
    Over,
    WrongLink,
    WrongSignIn,
    end_session,
    find_session,
    list_sessions,
    sign_in,
    sign_in_by_link,
    sign_out,
    why_over,
)
from deployctl.usecases.access.tokens import create_token, find_token, list_tokens, revoke_token
from deployctl.usecases.access.users import add_user, list_users, make_link, remove_user, set_password, set_role
from tests.unit.world import World, world

SHOP, BLOG = AppName("shop"), AppName("blog")
PHRASE = "correct horse battery"
HERE = Origin("127.0.0.1", "a browser")
ADMIN = {"*": Role.ADMIN}


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """mara is the admin, with a password."""
    with world(tmp_path) as made:
        add_user("mara", ADMIN, made.s)
        set_password("mara", PHRASE, made.s)
        yield made


def audit(w: World) -> list[str]:
    return [event["kind"] for event in w.ledger.find_events(limit=1000)]


# -- roles --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("role", "looks", "moves", "rules"), [
    (Role.VIEWER, True, False, False), (Role.DEPLOYER, True, True, False), (Role.ADMIN, True, True, True)])
def test_a_role_covers_the_lesser_ones(role: Role, looks: bool, moves: bool, rules: bool) -> None:
    assert [role.covers(asked) for asked in Role] == [looks, moves, rules]


def test_a_role_for_one_app_says_nothing_of_another_or_of_the_server() -> None:
    jonas = Principal("jonas", given(Role.ADMIN, ["shop"]))
    assert jonas.may(Role.ADMIN, SHOP)
    assert not jonas.may(Role.VIEWER, BLOG)
    assert not jonas.may(Role.VIEWER, None)
    assert jonas.sees([BLOG, SHOP]) == [SHOP]


def test_the_higher_of_two_roles_counts() -> None:
    jonas = Principal("jonas", {"*": Role.VIEWER, "shop": Role.DEPLOYER})
    assert (jonas.may(Role.DEPLOYER, SHOP), jonas.may(Role.DEPLOYER, BLOG)) == (True, False)
    assert roles_text(jonas.roles) == "viewer, deployer for shop"


@pytest.mark.parametrize("name", ["", "Mara", "a b", "-a", "a-", "x" * 41, "a\n", "ä", "a/../b"])
def test_what_is_no_name_of_a_person_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        parse_person(name)


def test_a_role_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(Invalid) as refused:
        parse_role("root")
    assert refused.value.remedy == ["one of viewer, deployer, admin"]


# -- signing in ---------------------------------------------------------------------------------------------------------
def test_the_right_password_begins_a_session_and_a_wrong_one_does_not(w: World) -> None:
    secret = sign_in("mara", PHRASE, HERE, w.s)
    who = find_session(secret, w.s)
    assert who is not None
    assert (who.name, who.actor, who.may(Role.ADMIN, None)) == ("mara", "mara (web)", True)
    with pytest.raises(WrongSignIn):
        sign_in("mara", "correct horse bakery", HERE, w.s)
    assert audit(w)[:2] == ["sign_in_refused", "signed_in"]


def test_neither_the_answer_nor_the_work_tells_which_names_exist(w: World) -> None:
    add_user("link-only", ADMIN, w.s)
    passwords.fits(None, "warm the cache")
    told, spent = set(), []
    for name in ("mara", "nobody", "link-only", "no such name"):
        begun = process_time()
        with pytest.raises(WrongSignIn) as refused:
            sign_in(name, "wrong wrong wrong", HERE, w.s)
        spent.append(process_time() - begun)
        told.add((refused.value.message, tuple(refused.value.remedy)))
    assert len(told) == 1
    assert min(spent) > 0.1 * max(spent), "each one paid for a hash"


def test_after_five_refusals_a_name_must_wait_longer_and_longer_known_or_not(w: World) -> None:
    for name in ("mara", "nobody"):
        for _ in range(5):
            with pytest.raises(WrongSignIn):
                sign_in(name, "wrong wrong wrong", HERE, w.s)
        with pytest.raises(TooManyTries) as early:
            sign_in(name, PHRASE, HERE, w.s)
        assert early.value.retry_after == pytest.approx(30, abs=1)
    w.clock.sleep(31)
    assert find_session(sign_in("mara", PHRASE, HERE, w.s), w.s)
    with pytest.raises(WrongSignIn):
        sign_in("nobody", PHRASE, HERE, w.s)
    with pytest.raises(TooManyTries) as later:
        sign_in("nobody", PHRASE, HERE, w.s)
    assert later.value.retry_after == pytest.approx(60, abs=1)


def test_the_wait_grows_and_ends() -> None:
    assert [wait_after(n) for n in (0, 4, 5, 6, 7, 50)] == [0, 0, 30, 60, 120, 900]


def test_a_link_signs_in_at_any_time_but_once_and_soon(w: World) -> None:
    for _ in range(5):
        with pytest.raises(WrongSignIn):
            sign_in("mara", "wrong wrong wrong", HERE, w.s)
    link = make_link("mara", w.s)
    assert find_session(sign_in_by_link(link, HERE, w.s), w.s), "the wait is not for links"
    with pytest.raises(WrongLink):
        sign_in_by_link(link, HERE, w.s)
    late = make_link("mara", w.s, minutes=1)
    w.clock.sleep(61)
    with pytest.raises(WrongLink):
        sign_in_by_link(late, HERE, w.s)


def test_a_session_ends_by_idleness_by_signing_out_and_by_being_ended(w: World) -> None:
    idle, left, ended = (sign_in("mara", PHRASE, HERE, w.s) for _ in range(3))
    assert len(list_sessions("mara", w.s)) == 3
    leaving, ending = find_session(left, w.s), find_session(ended, w.s)
    assert leaving
    assert leaving.session
    assert ending
    assert ending.session
    sign_out(leaving, w.s)
    end_session("mara", ending.session, w.s)
    assert (find_session(left, w.s), find_session(ended, w.s)) == (None, None)
    with pytest.raises(NotFound):
        end_session("mara", ending.session, w.s)
    assert find_session(idle, w.s)
    w.clock.sleep(SESSION_IDLE_SECONDS + 1)
    assert find_session(idle, w.s) is None
    assert list_sessions("mara", w.s) == []


def test_a_session_that_is_used_goes_on(w: World) -> None:
    secret = sign_in("mara", PHRASE, HERE, w.s)
    for _ in range(3):
        w.clock.sleep(SESSION_IDLE_SECONDS - 60)
        assert find_session(secret, w.s)


def test_one_users_session_is_not_ended_in_the_name_of_another(w: World) -> None:
    add_user("jonas", ADMIN, w.s)
    who = find_session(sign_in("mara", PHRASE, HERE, w.s), w.s)
    assert who
    assert who.session
    with pytest.raises(NotFound):
        end_session("jonas", who.session, w.s)


def test_a_password_that_changes_ends_the_other_sessions(w: World) -> None:
    kept, other = sign_in("mara", PHRASE, HERE, w.s), sign_in("mara", PHRASE, HERE, w.s)
    mine = find_session(kept, w.s)
    assert mine
    set_password("mara", "another good phrase", w.s, keep=mine.session)
    assert find_session(kept, w.s)
    assert find_session(other, w.s) is None
    with pytest.raises(WrongSignIn):
        sign_in("mara", PHRASE, HERE, w.s)


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_a_password_too_short_or_too_long_is_refused_and_the_former_one_stays(w: World, password: str) -> None:
    with pytest.raises(Invalid):
        set_password("mara", password, w.s)
    assert sign_in("mara", PHRASE, HERE, w.s)


@pytest.mark.parametrize("secret", ["", "x", "\ud800", "'; drop table users; --", "\x00"])
def test_what_is_no_secret_opens_nothing(w: World, secret: str) -> None:
    assert find_session(secret, w.s) is None
    assert find_token(secret, w.s, address="-") is None
    with pytest.raises(WrongLink):
        sign_in_by_link(secret, HERE, w.s)


# -- people -------------------------------------------------------------------------------------------------------------
def test_the_last_admin_can_neither_go_nor_be_made_less(w: World) -> None:
    for attempt in (lambda: remove_user("mara", w.s), lambda: set_role("mara", Role.VIEWER, "*", w.s),
                    lambda: set_role("mara", None, "*", w.s)):
        with pytest.raises(Refused, match="last admin"):
            attempt()
    add_user("jonas", ADMIN, w.s)
    remove_user("mara", w.s)
    assert [u.name for u in list_users(w.s)] == ["jonas"]


def test_whoever_is_removed_is_out_at_once(w: World) -> None:
    add_user("jonas", given(Role.VIEWER, []), w.s)
    link = make_link("jonas", w.s)
    secret = sign_in_by_link(make_link("jonas", w.s), HERE, w.s)
    assert find_session(secret, w.s)
    remove_user("jonas", w.s)
    assert find_session(secret, w.s) is None
    add_user("jonas", ADMIN, w.s)
    assert find_session(secret, w.s) is None, "another jonas does not get the session of the former"
    with pytest.raises(WrongLink):
        sign_in_by_link(link, HERE, w.s)


def test_a_role_counts_at_the_next_request(w: World) -> None:
    add_user("jonas", given(Role.VIEWER, ["shop"]), w.s)
    secret = sign_in_by_link(make_link("jonas", w.s), HERE, w.s)
    set_role("jonas", Role.DEPLOYER, "shop", w.s)
    who = find_session(secret, w.s)
    assert who
    assert who.may(Role.DEPLOYER, SHOP)
    set_role("jonas", None, "shop", w.s)
    who = find_session(secret, w.s)
    assert who
    assert not who.may(Role.VIEWER, SHOP)


def test_a_name_is_given_once_and_an_unknown_one_is_told(w: World) -> None:
    with pytest.raises(Refused, match="already"):
        add_user("mara", ADMIN, w.s)
    with pytest.raises(NotFound, match="Did you mean mara"):
        make_link("mora", w.s)


# -- tokens -------------------------------------------------------------------------------------------------------------
def test_a_token_stands_for_its_roles_until_it_is_revoked(w: World) -> None:
    made = create_token("deploy-main", given(Role.DEPLOYER, ["shop"]), w.s)
    who = find_token(made.secret, w.s, address="10.0.0.7")
    assert who
    assert who.actor == "deploy-main (token)"
    assert (who.may(Role.DEPLOYER, SHOP), who.may(Role.ADMIN, SHOP), who.may(Role.VIEWER, BLOG)) == (True, False, False)
    [token] = list_tokens(w.s)
    assert (token.used_from, token.created_by) == ("10.0.0.7", "mara (cli)")
    revoke_token("deploy-main", w.s)
    assert find_token(made.secret, w.s, address="10.0.0.7") is None
    with pytest.raises(NotFound):
        revoke_token("deploy-main", w.s)


def test_a_token_ends_after_ninety_days_unless_told_otherwise(w: World) -> None:
    usual = create_token("usual", ADMIN, w.s)
    endless = create_token("endless", ADMIN, w.s, days=None)
    w.clock.sleep(90 * 86_400 - 10)
    assert find_token(usual.secret, w.s, address="-")
    w.clock.sleep(20)
    assert find_token(usual.secret, w.s, address="-") is None
    assert find_token(endless.secret, w.s, address="-")


def test_a_name_is_free_again_when_its_token_was_revoked(w: World) -> None:
    first = create_token("ci", ADMIN, w.s)
    with pytest.raises(Refused):
        create_token("ci", ADMIN, w.s)
    revoke_token("ci", w.s)
    second = create_token("ci", ADMIN, w.s)
    assert find_token(first.secret, w.s, address="-") is None
    assert find_token(second.secret, w.s, address="-")


def test_no_secret_is_anywhere_in_the_ledger(w: World) -> None:
    secrets = [create_token("ci", ADMIN, w.s).secret, make_link("mara", w.s), sign_in("mara", PHRASE, HERE, w.s), PHRASE]
    dump = "\n".join(w.ledger.db.raw.iterdump())
    assert [secret for secret in secrets if secret in dump] == []
    assert "$argon2id$" in dump


def test_every_step_is_told_in_the_audit_and_the_chain_holds(w: World) -> None:
    add_user("jonas", given(Role.VIEWER, []), w.s)
    set_role("jonas", Role.DEPLOYER, "shop", w.s)
    secret = sign_in_by_link(make_link("jonas", w.s), HERE, w.s)
    who = find_session(secret, w.s)
    assert who
    sign_out(who, w.s)
    create_token("ci", ADMIN, w.s)
    revoke_token("ci", w.s)
    remove_user("jonas", w.s)
    assert audit(w)[::-1] == [
        "user_added", "user_password", "user_added", "user_role", "link_made", "signed_in", "signed_out", "token_made",
        "token_revoked", "user_removed"]
    assert w.ledger.find_faults() == []


def test_refused_attempts_are_forgotten_after_a_day(w: World) -> None:
    for attempt in range(6):
        with pytest.raises(DeployctlError):
            sign_in(f"nobody{attempt}", "wrong wrong wrong", HERE, w.s)
        w.clock.sleep(6 * 3600)
    assert w.ledger.db.one("select count(*) from tries")[0] <= 5  # type: ignore[index]  # there is one row


def test_sessions_of_builds_whose_cookie_went_to_the_apps_are_over(w: World) -> None:
    secret = sign_in_by_link(make_link("mara", w.s), HERE, w.s)
    w.ledger.close()
    with closing(sqlite3.connect(w.home / "ledger.db")) as db, db:
        db.execute("delete from _sqlite_migrations where name like '%sessions_anew'")
        db.execute("pragma user_version = 13")
    w.ledger = w.open_ledger()
    assert find_session(secret, w.s) is None
    assert why_over(secret, w.s) is Over.ENDED
    assert find_session(sign_in_by_link(make_link("mara", w.s), HERE, w.s), w.s), "and signing in goes on"
