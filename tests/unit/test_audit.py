"""The audit tells who did what, from where and what became of it, attempts that failed or were refused included."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from deployctl.domain.host.access import Origin, Role, given
from deployctl.domain.host.actor import Actor
from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError, NotFound
from deployctl.usecases.access.sign_in import WrongSignIn, sign_in
from deployctl.usecases.access.users import add_user
from deployctl.usecases.change.annotate import annotate
from deployctl.usecases.change.hold import hold, unhold
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.start import start
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.listings import AuditLine
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.view.audit import audit
from tests.unit.web_world import site
from tests.unit.world import SHOP, V1, V2, V3, YES, World, world

BLOG = AppName("blog")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """shop serves v2, v1 stands by."""
    with world(tmp_path) as made:
        yield made.upgraded("v1", "v2")


def last(w: World, **wanted: object) -> AuditLine:
    return audit(w.s, **wanted)[0]  # type: ignore[arg-type]  # whatever a test asks for


def test_a_move_of_traffic_is_told_with_its_revisions_and_its_reason(w: World) -> None:
    rollback(SHOP, w.services(actor="jonas (web)"), options=ChangeOptions("checkout 500s"))
    line = last(w)
    assert (line.who, line.how, line.app, line.what, line.result) == ("jonas", "web", "shop", "rollback", "done")
    assert (line.before, line.after, line.note, line.summary) == (2, 3, "checkout 500s", "rollback: v2 → v1")


def test_a_hold_and_a_reason_told_later_are_sentences(w: World) -> None:
    hold(SHOP, V1, w.s, options=ChangeOptions("loses orders"))
    assert (last(w).summary, last(w).note) == ("v1 was put on hold", "loses orders")
    unhold(SHOP, V1, w.s)
    assert last(w).summary == "the hold of v1 was released"
    annotate(SHOP, w.s, options=ChangeOptions("new checkout"))
    assert (last(w).summary, last(w).note) == ("the reason of revision 2", "new checkout")


def test_an_attempt_that_failed_is_told_with_why(w: World) -> None:
    w.sick["v3"] = 503
    with pytest.raises(DeployctlError):
        w.upgrade("v3", note="bigger buttons")
    line = last(w)
    assert (line.what, line.result, line.note, line.after) == ("upgrade", "failed", "bigger buttons", None)
    assert line.summary.startswith("upgrade: v2 → v3 was reverted: ")
    assert "503" in line.summary
    assert w.ledger.find_faults() == []


def test_what_moves_no_traffic_is_told_once_too(w: World) -> None:
    start(SHOP, V3, w.s)
    assert (last(w).what, last(w).result, last(w).summary) == ("start", "done", "start v3 without traffic")
    stop(SHOP, V3, w.s, options=YES)
    assert (last(w).what, last(w).result, last(w).summary) == ("stop", "done", "stop v3")
    stop(SHOP, V2, w.s, options=YES)
    assert [line.what for line in audit(w.s)][:3] == ["stop", "stop", "start"]
    assert last(w).summary == "stop: v2 → nobody"


def test_who_stopped_it_is_told_with_the_deployment_that_was_stopped(w: World) -> None:
    def interfere(_asked: object) -> int:
        w.ledger.ask_abort(SHOP, actor="jonas (cli)")
        return 200

    w.prober.script = interfere
    with pytest.raises(DeployctlError):
        upgrade(SHOP, V3, w.s)
    line = last(w, kind="upgrade")
    assert (line.who, line.result) == ("mara", "failed")
    assert "jonas (cli)" in line.summary


def test_every_filter_takes_only_what_it_names(w: World) -> None:
    add_user("jonas", given(Role.VIEWER, []), w.services(actor="root (cli)"))
    with pytest.raises(WrongSignIn):
        sign_in("jonas", "wrong wrong wrong", Origin("10.0.0.7", "curl"), w.s)
    hold(SHOP, V1, w.services(actor="mar (cli)"))
    rollback(SHOP, w.services(actor="mara (token)"), version=V2, options=YES)
    assert {line.who for line in audit(w.s, user="mara")} == {"mara"}
    assert {line.who for line in audit(w.s, user="mar")} == {"mar"}
    assert audit(w.s, user="mar%") == audit(w.s, user="m' or 1=1 --") == ()
    assert [line.what for line in audit(w.s, kind="upgrade")] == ["upgrade", "upgrade"]
    refused = last(w, kind="sign_in_denied")
    assert (refused.result, refused.address, refused.who, refused.app) == ("denied", "10.0.0.7", "nobody", None)
    assert {line.app for line in audit(w.s, app=SHOP)} == {"shop"}
    assert {line.app for line in audit(w.s, among=[SHOP, BLOG])} == {"shop"}
    assert audit(w.s, among=[]) == audit(w.s, among=[BLOG]) == ()


def test_one_page_follows_another_without_a_gap(w: World) -> None:
    whole = audit(w.s)
    assert len(whole) >= 2
    pages: list[AuditLine] = []
    before: int | None = None
    while page := audit(w.s, limit=1, before=before):
        pages += page
        before = page[-1].id
    assert tuple(pages) == whole
    assert len(audit(w.s, limit=-5)) == 1


def test_an_app_that_was_never_here_is_not_found_and_a_removed_one_keeps_its_trail(w: World) -> None:
    from deployctl.usecases.change.app_remove import remove_app

    with pytest.raises(NotFound, match="Did you mean shop"):
        audit(w.s, app=AppName("shpo"))
    remove_app(SHOP, w.s, options=YES)
    w.files.clear()
    first, *_, oldest = audit(w.s, app=SHOP)
    assert (first.what, first.result) == ("remove", "done")
    assert oldest.summary == "upgrade: nobody → release 1"


@pytest.mark.parametrize(("actor", "parts"), [
    ("mara (cli)", ("mara", "cli")), ("uid 1000 (watcher)", ("uid 1000", "watcher")), ("mara", ("mara", "-")),
    ("a (b) (web)", ("a (b)", "web")), ("", ("", "-")), (" (web)", (" (web)", "-")),
])  # fmt: skip
def test_an_actor_is_a_name_and_a_way(actor: str, parts: tuple[str, str]) -> None:
    found = Actor.of(actor)
    assert (found.name, found.via) == parts
    assert found == actor, "its text stays as it was stored"
    assert (copy.copy(found), copy.deepcopy(found).via) == (found, found.via)


def test_the_chain_holds_over_every_kind_of_end(w: World) -> None:
    w.sick["v3"] = 503
    for attempt in (partial(w.upgrade, "v3"), partial(start, SHOP, V3, w.s)):
        with pytest.raises(DeployctlError):
            attempt()
    assert w.ledger.find_faults() == []


def test_what_an_actor_does_is_told_with_the_address_that_he_asks_from(w: World) -> None:
    w.ledger.origin = ("jonas (web)", "10.0.0.7")
    rollback(SHOP, w.services(actor="jonas (web)"), options=YES)
    hold(SHOP, V1, w.services(actor="mara (cli)"))
    held, moved = audit(w.s, limit=2)
    assert (moved.who, moved.address) == ("jonas", "10.0.0.7")
    assert (held.who, held.address) == ("mara", None), "it is not his"
    assert w.ledger.find_faults() == []


def test_what_is_done_by_a_page_is_told_with_the_address_of_the_browser(tmp_path: Path) -> None:
    with site(tmp_path, "v1", "v2") as here:
        browser = here.signed_in("mara")
        browser.get("/apps/shop")
        assert browser.post("/apps/shop/rollback", to_version="v1").status_code in {302, 303}
        line = audit(here.w.s, kind="rollback")[0]
        assert (line.who, line.how, line.address) == ("mara", "web", browser.address)
