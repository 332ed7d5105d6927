"""The database keeps the invariants: nobody shares a port or an address, history only grows, one deployment at a time."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.change.deployment import EndReason, LeaseFacts, Phase
from deployctl.domain.change.plan import Plan, PlanKind, Step, StepKind
from deployctl.domain.images.component import Component, InstanceId
from deployctl.domain.images.release import App, Bundle, Change, Colour, Hold, Policy
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.trust import ProxyTrust
from deployctl.errors import LeaseHeld, Refused
from deployctl.ledger import leases
from deployctl.ledger.leases import process_start
from deployctl.ledger.sqlite_ledger import SqliteLedger

NOW = "2026-01-01T00:00:00.000Z"
SHOP, BLOG = AppName("shop"), AppName("blog")
PORTS = range(20000, 28000)
FORK = mp.get_context("fork")
HOLD = Hold(NOW, "mara (cli)", "it was bad")


def bundle(number: int = 1, **fields: object) -> Bundle:
    plain = Bundle(f"acme/shop:v{number}", "sha256:" + f"{number:064x}", 8080)
    return replace(plain, **fields)  # type: ignore[arg-type]  # fields of a bundle, by name


def app(name: AppName = SHOP, net: int = 0) -> App:
    return App(name, f"172.30.{net}.0/26", f"172.30.{net}.1", f"deployctl-{name}", f"dc-{name}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    prepared(path)
    made = opened(path)
    yield made
    made.close()


def prepared(path: Path) -> None:
    """Make the ledger and close it: SQLite forbids to take an open connection along into a forked process."""
    made = opened(path)
    made.add_app(app(), at=NOW)
    made.close()


def opened(path: Path) -> SqliteLedger:
    return SqliteLedger.open(path, path.parent, now=NOW)


def release(ledger: SqliteLedger, number: int) -> int:
    return ledger.ensure_release(SHOP, Version(f"v{number}"), (Component(bundle(number)),), at=NOW).number


def token(ledger: SqliteLedger) -> int:
    found = ledger.find_lease(SHOP)
    if found is not None:
        return found.token
    taken = ledger.take_lease(SHOP, holder="mara (cli)", verb="upgrade", at=NOW)
    assert isinstance(taken, int)
    return taken


def promote(ledger: SqliteLedger, number: int | None, kind: str = "upgrade", **fields: object) -> Change:
    row = ledger.find_app(SHOP)
    assert row is not None
    change = Change(0, SHOP, kind, row.active, number, NOW, "mara (cli)")
    return ledger.promote(replace(change, **fields), deployment=None, token=token(ledger))  # type: ignore[arg-type]


def place(ledger: SqliteLedger, number: int) -> tuple[int, str]:
    got = ledger.add_instance(SHOP, InstanceId(number), f"shop--{number}", ports=PORTS, taken=lambda port: False)
    return got.host_port or 0, got.address


def plan(kind: PlanKind = PlanKind.UPGRADE) -> Plan:
    return Plan(SHOP, kind, None, 1, (Step(StepKind.START, 1, "start v1"),), "shop: first version v1")


# -- ports and addresses ------------------------------------------------------------------------------------------
def test_fifty_allocations_at_once_never_clash(path: Path, ledger: SqliteLedger) -> None:
    start = threading.Barrier(10)

    def five(turn: int) -> list[tuple[int, str]]:
        mine = opened(path)
        start.wait(30)
        got = [place(mine, 5 * turn + n) for n in range(5)]
        mine.close()
        return got

    with ThreadPoolExecutor(10) as pool:
        got = [one for many in pool.map(five, range(10)) for one in many]
    assert len({port for port, _ in got}) == 50
    assert len({address for _, address in got}) == 50


def _allocate(path: Path, start: threading.Barrier, first: int, told: mp.SimpleQueue[list[object]]) -> None:
    try:
        mine = opened(path)
        start.wait(30)
        told.put([place(mine, first + n) for n in range(10)])
    except BaseException as e:
        told.put([repr(e)])
        raise


def test_allocations_of_several_processes_never_clash(path: Path) -> None:
    prepared(path)
    start, told = FORK.Barrier(4), FORK.SimpleQueue()
    crowd = [FORK.Process(target=_allocate, args=(path, start, 100 * n, told)) for n in range(4)]
    for one in crowd:
        one.start()
    got = [one for _ in crowd for one in told.get()]
    for one in crowd:
        one.join(30)
    ports, addresses = zip(*got, strict=True)
    assert len(set(ports)) == len(set(addresses)) == 40


def test_a_second_request_for_the_same_release_gives_the_same_place(ledger: SqliteLedger) -> None:
    assert place(ledger, 1) == place(ledger, 1)
    assert len(ledger.instances(SHOP)) == 1


def test_an_address_that_was_just_freed_is_the_last_to_be_used_again(ledger: SqliteLedger) -> None:
    first = place(ledger, 1)[1]
    ledger.remove_instance(SHOP, InstanceId(1))
    others = [place(ledger, number)[1] for number in range(2, 62)]
    assert first not in others
    assert place(ledger, 62)[1] == first


def test_the_bridges_own_address_is_never_given_away(ledger: SqliteLedger) -> None:
    addresses = {place(ledger, number)[1] for number in range(61)}
    assert not addresses & {"172.30.0.0", "172.30.0.1", "172.30.0.63"}
    with pytest.raises(Refused, match="no free address") as full:
        place(ledger, 61)
    assert full.value.remedy == ["deployctl prune shop"]


def test_a_refusal_keeps_no_port(ledger: SqliteLedger) -> None:
    for number in range(61):
        place(ledger, number)
    for number in range(61, 64):
        with pytest.raises(Refused):
            place(ledger, number)
    ledger.remove_instance(SHOP, InstanceId(0))
    assert place(ledger, 70)[0] == PORTS[0]


def test_ports_of_strangers_and_of_stable_addresses_are_stepped_over(ledger: SqliteLedger) -> None:
    ledger.set_wishes(replace(app(), listen=("127.0.0.1", PORTS[0])))
    got = ledger.add_instance(SHOP, InstanceId(1), "shop--1", ports=PORTS, taken=lambda port: port == PORTS[1])
    assert got.host_port == PORTS[2]


def test_no_free_port_is_refused_with_the_key_to_change(ledger: SqliteLedger) -> None:
    with pytest.raises(Refused, match="20000–20002") as full:
        ledger.add_instance(SHOP, InstanceId(1), "shop--1", ports=range(20000, 20003), taken=lambda port: True)
    assert any("[ports]" in line for line in full.value.remedy)
    assert ledger.instances() == []


def test_two_apps_share_ports_but_not_addresses(ledger: SqliteLedger) -> None:
    ledger.add_app(app(BLOG, 1), at=NOW)
    mine = place(ledger, 1)
    theirs = ledger.add_instance(BLOG, InstanceId(1), "blog--1", ports=PORTS, taken=lambda port: False)
    assert mine[0] != theirs.host_port
    assert theirs.address.startswith("172.30.1.")


def test_only_known_marks_of_an_instance_can_be_written(ledger: SqliteLedger) -> None:
    place(ledger, 1)
    with pytest.raises(ValueError, match="host_port"):
        ledger.set_instance(SHOP, InstanceId(1), host_port="1")


# -- apps and releases --------------------------------------------------------------------------------------------
def test_subnet_bridge_and_stable_address_belong_to_one_app(ledger: SqliteLedger) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add_app(app(BLOG, 0), at=NOW)
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add_app(replace(app(BLOG, 1), bridge="dc-shop"), at=NOW)
    assert [one.name for one in ledger.apps()] == [SHOP]
    ledger.set_wishes(replace(app(), listen=("127.0.0.1", 8000)))
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add_app(replace(app(BLOG, 1), listen=("127.0.0.1", 8000)), at=NOW)
    assert ledger.find_app(BLOG) is None


def test_wishes_come_back_as_they_were_written(ledger: SqliteLedger) -> None:
    wished = replace(app(), listen=("::1", 8000), hosts=("a.example", "b.example"), policy=Policy(1.5, 2.5, 3, 4),
                     trust=ProxyTrust(("10.0.0.0/8",), proxy_protocol=True))
    ledger.set_wishes(wished)
    assert ledger.find_app(SHOP) == wished
    assert ledger.table(bridged=True).trust == {SHOP: wished.trust}
    ledger.set_wishes(replace(wished, trust=ProxyTrust()))
    assert ledger.table(bridged=True).trust == {}


def test_the_same_version_and_bundle_is_the_same_release(ledger: SqliteLedger) -> None:
    first = ledger.ensure_release(SHOP, Version("v1"), (Component(bundle()),), at=NOW)
    assert ledger.ensure_release(SHOP, Version("v1"), (Component(bundle()),), at="later") == first
    renamed = bundle(image="mirror/shop:v1", repo_digest="acme/shop@sha256:" + "c" * 64)
    assert ledger.ensure_release(SHOP, Version("v1"), (Component(renamed),), at=NOW) == first


def test_a_changed_bundle_or_another_version_is_another_release(ledger: SqliteLedger) -> None:
    numbers = [ledger.ensure_release(SHOP, Version(version), (Component(changed),), at=NOW).number for version, changed in
               (("v1", bundle()), ("v1", bundle(port=9)), ("v2", bundle()), ("v1", bundle()))]
    assert numbers == [1, 2, 3, 1]


def test_a_bundle_comes_back_byte_for_byte(ledger: SqliteLedger) -> None:
    odd = bundle(env=(("A", 'é\n"\\'), ("B", "")), command=("sh", "-c", "a;b"), entrypoint=None)
    number = ledger.ensure_release(SHOP, Version("v1"), (Component(odd),), at=NOW).number
    found = ledger.find_release(SHOP, number)
    assert found is not None
    assert found.bundle == odd
    assert found.bundle.canonical() == odd.canonical()


def test_a_proof_is_dated_once_and_clears_a_failure(ledger: SqliteLedger) -> None:
    number = release(ledger, 1)
    ledger.mark_proven(SHOP, number, at="first")
    promote(ledger, number)
    ledger.mark_failed(SHOP, number, why="it did not become healthy", code="not_healthy")
    ledger.mark_proven(SHOP, number, at="second")
    found = ledger.find_release(SHOP, number)
    assert found is not None
    assert (found.proven_at, found.failure) == ("first", None)


def test_a_failure_voids_the_proof_of_what_never_served_and_of_nothing_else(ledger: SqliteLedger) -> None:
    served, other = release(ledger, 1), release(ledger, 2)
    for number in (served, other):
        ledger.mark_proven(SHOP, number, at=NOW)
    promote(ledger, served)
    for number in (served, other):
        ledger.mark_failed(SHOP, number, why="it broke", code="failed")
    assert [r.proven_at for r in ledger.releases(SHOP)] == [None, NOW]


def test_an_app_that_was_removed_and_comes_again_never_reuses_a_number_or_a_revision_of_its_history(
    ledger: SqliteLedger,
) -> None:
    promote(ledger, release(ledger, 1))
    promote(ledger, release(ledger, 2))
    place(ledger, 2)
    ledger.remove_app(SHOP)
    assert (ledger.apps(), ledger.releases(SHOP), ledger.instances()) == ([], [], [])
    assert len(ledger.changes(SHOP)) == 2
    ledger.add_app(app(), at=NOW)
    again = release(ledger, 1)
    assert again == 3
    assert promote(ledger, again).revision == 3


# -- history ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("table", ["changes", "events"])
@pytest.mark.parametrize("act", ["update {} set actor = 'nobody'", "delete from {}"])
def test_history_is_only_ever_added_to(ledger: SqliteLedger, table: str, act: str) -> None:
    promote(ledger, release(ledger, 1))
    ledger.event("test", "text", at=NOW, actor="mara")
    with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
        ledger.db.execute(act.format(table))
    assert len(ledger.changes(SHOP)) == 1
    assert [event["kind"] for event in ledger.events()] == ["test", "promoted"]


def test_a_promotion_writes_active_revision_history_colour_and_holds_together(ledger: SqliteLedger) -> None:
    one, two = release(ledger, 1), release(ledger, 2)
    promote(ledger, one)
    promote(ledger, two)
    change = promote(ledger, one, "rollback", held=two, note="cart totals wrong", switch_ms=1.5)
    row = ledger.find_app(SHOP)
    assert row is not None
    assert (row.active, row.revision, change.revision) == (one, 3, 3)
    assert ledger.changes(SHOP)[0] == change
    assert [(c.source, c.target) for c in ledger.changes(SHOP)] == [(two, one), (one, two), (None, one)]
    held = ledger.find_release(SHOP, two)
    assert held is not None
    assert held.hold == Hold(NOW, "mara (cli)", "cart totals wrong", 2)


def test_a_promotion_is_all_or_nothing(ledger: SqliteLedger) -> None:
    one, two = release(ledger, 1), release(ledger, 2)
    promote(ledger, one)
    before = (ledger.apps(), ledger.releases(SHOP), ledger.changes(SHOP))
    ledger.db.execute("create trigger broken before update of hold_at on releases begin select raise(abort, 'no'); end")
    with pytest.raises(sqlite3.IntegrityError):
        promote(ledger, two, held=one)
    assert (ledger.apps(), ledger.releases(SHOP), ledger.changes(SHOP)) == before


def test_a_promotion_with_a_stale_token_is_refused_and_changes_nothing(ledger: SqliteLedger) -> None:
    one, stale = release(ledger, 1), token(ledger)
    ledger.give_lease_back(SHOP, stale)
    assert token(ledger) > stale
    change = Change(0, SHOP, "upgrade", None, one, NOW, "mara (cli)")
    with pytest.raises(LeaseHeld, match="taken over"):
        ledger.promote(change, deployment=None, token=stale)
    assert ledger.changes(SHOP) == []
    assert ledger.apps()[0].revision == 0


def test_colours_alternate_blue_first_and_a_stop_in_between_does_not_matter(ledger: SqliteLedger) -> None:
    def colours() -> list[Colour | None]:
        return [r.colour for r in reversed(ledger.releases(SHOP))]

    promote(ledger, release(ledger, 1))
    promote(ledger, release(ledger, 2))
    assert colours() == [Colour.BLUE, Colour.GREEN]
    promote(ledger, None, "stop")
    promote(ledger, release(ledger, 3))
    assert colours() == [Colour.BLUE, Colour.GREEN, Colour.BLUE]
    promote(ledger, 1, "rollback")
    assert colours() == [Colour.GREEN, Colour.GREEN, Colour.BLUE], "two that change places never look alike"


def test_a_hold_meets_every_release_of_that_version_and_digest_and_no_other(ledger: SqliteLedger) -> None:
    first = release(ledger, 1)
    bad = ledger.ensure_release(SHOP, Version("v2"), (Component(bundle(2)),), at=NOW).number
    same = ledger.ensure_release(SHOP, Version("v2"), (Component(bundle(2, port=9)),), at=NOW).number
    rebuilt = ledger.ensure_release(SHOP, Version("v2"), (Component(bundle(3)),), at=NOW).number
    promote(ledger, first)
    promote(ledger, bad)
    promote(ledger, first, "rollback", held=bad)
    assert {r.number for r in ledger.releases(SHOP) if r.hold} == {bad, same}
    promote(ledger, bad, "undo", lifted=bad)
    assert not any(r.hold for r in ledger.releases(SHOP))
    assert rebuilt not in {bad, same}


def test_going_back_between_two_bundles_of_one_image_does_not_hold_the_one_that_serves(ledger: SqliteLedger) -> None:
    good = ledger.ensure_release(SHOP, Version("v1"), (Component(bundle(1)),), at=NOW).number
    bad = ledger.ensure_release(SHOP, Version("v1"), (Component(bundle(1, port=9)),), at=NOW).number
    promote(ledger, good)
    promote(ledger, bad)
    promote(ledger, good, "rollback", held=bad)
    assert {r.number for r in ledger.releases(SHOP) if r.hold} == {bad}


def test_a_hold_by_hand_meets_the_whole_version(ledger: SqliteLedger) -> None:
    release(ledger, 1)
    ledger.ensure_release(SHOP, Version("v1"), (Component(bundle(9)),), at=NOW)
    release(ledger, 2)
    assert ledger.set_hold(SHOP, Version("v1"), None, HOLD) == 2
    assert ledger.set_hold(SHOP, Version("v1"), bundle(9).digest, None) == 1
    assert [r.version for r in ledger.releases(SHOP) if r.hold] == ["v1"]


def test_a_promotion_ends_being_beside_and_being_failed(ledger: SqliteLedger) -> None:
    number = release(ledger, 1)
    place(ledger, number)
    ledger.set_instance(SHOP, InstanceId(number), beside=True, failed=True)
    promote(ledger, number)
    found = ledger.find_instance(SHOP, InstanceId(number))
    assert found is not None
    assert (found.beside, found.failed) == (False, False)


def test_what_decisions_read_of_a_long_history_is_short_and_ends_with_the_last_change(ledger: SqliteLedger) -> None:
    numbers = [release(ledger, n) for n in (1, 2, 3)]
    for number in numbers:
        place(ledger, number)
        promote(ledger, number)
    for turn in range(50):
        promote(ledger, numbers[turn % 2], "rollback")
    telling, whole = ledger.telling_changes(SHOP), ledger.changes(SHOP)
    assert len(whole) == 53
    assert len(telling) <= 2 * 3 + 1
    assert telling[0] == whole[0]
    for number in numbers:
        assert max(c.revision for c in telling if number in (c.source, c.target)) == max(
            c.revision for c in whole if number in (c.source, c.target))


# -- deployments --------------------------------------------------------------------------------------------------
def test_an_app_has_one_open_deployment_and_the_index_decides(path: Path, ledger: SqliteLedger) -> None:
    other = opened(path)
    first = ledger.open_deployment(plan(), actor="mara (cli)", note="", at=NOW, token=1)
    with pytest.raises(LeaseHeld, match="not finished"):
        other.open_deployment(plan(), actor="jonas (web)", note="", at=NOW, token=1)
    ledger.close_deployment(first.id, Phase.SUCCEEDED, at=NOW)
    assert other.open_deployment(plan(), actor="jonas (web)", note="", at=NOW, token=2).id != first.id
    other.close()


def test_a_deployment_ends_once(ledger: SqliteLedger) -> None:
    opened_one = ledger.open_deployment(plan(), actor="mara (cli)", note="why", at=NOW, token=1)
    assert ledger.find_open(SHOP) == opened_one
    ledger.close_deployment(opened_one.id, Phase.REVERTED, at=NOW, evidence=["log"],
                            error=EndReason("not_healthy", "it did not become healthy", "not_listening", "connection refused"))
    ledger.close_deployment(opened_one.id, Phase.SUCCEEDED, at="later")
    ended = ledger.deployments(SHOP)[0]
    assert (ended.phase, ended.outcome, ended.finished_at) == (Phase.REVERTED, "reverted", NOW)
    assert (ended.error, ended.evidence, ended.note) == ("it did not become healthy", ("log",), "why")
    assert (ended.error_code, ended.cause, ended.why) == ("not_healthy", "not_listening", "connection refused")
    assert ledger.find_open(SHOP) is None


def test_a_deployment_remembers_how_the_app_was_before(ledger: SqliteLedger) -> None:
    wished = replace(app(), listen=("127.0.0.1", 8000), policy=Policy(keep_warm=3))
    ledger.set_wishes(wished)
    ledger.open_deployment(plan(), actor="mara (cli)", note="", at=NOW, token=1)
    ledger.set_wishes(replace(wished, listen=("127.0.0.1", 9000), policy=Policy()))
    found = ledger.find_open(SHOP)
    assert found is not None
    assert found.before == wished


def test_steps_are_written_before_and_after_and_carry_the_phase(ledger: SqliteLedger) -> None:
    number = ledger.open_deployment(plan(), actor="mara (cli)", note="", at=NOW, token=1).id
    ledger.begin_step(number, 0, plan().steps[0], phase=Phase.PROBING, at=NOW, durable=False)
    (row,) = ledger.steps(number)
    assert (row["kind"], row["finished_at"], row["ok"]) == ("start", None, None)
    found = ledger.find_open(SHOP)
    assert found is not None
    assert found.phase is Phase.PROBING
    ledger.finish_step(number, 0, ok=True, ms=1.5, text="started", at=NOW)
    (row,) = ledger.steps(number)
    assert (row["ok"], row["ms"], row["text"]) == (1, 1.5, "started")


def test_an_abort_reaches_only_an_open_deployment(ledger: SqliteLedger) -> None:
    assert not ledger.ask_abort(SHOP, actor="jonas (web)")
    number = ledger.open_deployment(plan(), actor="mara (cli)", note="", at=NOW, token=1).id
    assert ledger.abort_asked(number) is None
    assert ledger.ask_abort(SHOP, actor="jonas (web)")
    assert ledger.abort_asked(number) == "jonas (web)"


# -- leases -------------------------------------------------------------------------------------------------------
def test_a_living_holder_is_named_and_keeps_the_lease(path: Path, ledger: SqliteLedger) -> None:
    other, mine = opened(path), token(ledger)
    held = other.take_lease(SHOP, holder="jonas (web)", verb="rollback", at="later")
    assert held == LeaseFacts(SHOP, "mara (cli)", "upgrade", os.getpid(), NOW, mine)
    assert ledger.lease_is_ours(SHOP, mine)
    other.close()


def _take_and_tell(path: Path, told: mp.SimpleQueue[object]) -> None:
    try:
        told.put(opened(path).take_lease(SHOP, holder="ci (cli)", verb="upgrade", at=NOW))
    except BaseException as e:
        told.put(repr(e))
        raise
    threading.Event().wait(60)


@pytest.fixture
def holder(path: Path) -> Iterator[tuple[int, int]]:
    """Another process that has the lease: its number and its token. It ends with the test at the latest."""
    prepared(path)
    told: mp.SimpleQueue[object] = FORK.SimpleQueue()
    process = FORK.Process(target=_take_and_tell, args=(path, told))
    process.start()
    try:
        token = told.get()
        assert isinstance(token, int), token
        assert process.pid is not None
        yield process.pid, token
    finally:
        process.kill()
        process.join(30)


def test_a_dead_holder_is_passed_over_and_may_do_nothing_more(holder: tuple[int, int], path: Path) -> None:
    pid, dead = holder
    ledger = opened(path)
    busy = ledger.take_lease(SHOP, holder="mara (cli)", verb="rollback", at=NOW)
    assert isinstance(busy, LeaseFacts)
    assert (busy.holder, busy.pid) == ("ci (cli)", pid)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # dead, and its parent has not looked yet
    assert ledger.find_lease(SHOP) is None
    mine = ledger.take_lease(SHOP, holder="mara (cli)", verb="rollback", at=NOW)
    assert isinstance(mine, int)
    assert mine > dead
    assert not ledger.lease_is_ours(SHOP, dead)
    ledger.give_lease_back(SHOP, dead)
    assert ledger.lease_is_ours(SHOP, mine), "what is not ours cannot be given back"
    ledger.close()


def test_a_holder_that_was_stopped_but_lives_keeps_the_lease(holder: tuple[int, int], path: Path) -> None:
    pid, held = holder
    os.kill(pid, signal.SIGSTOP)
    ledger = opened(path)
    found = ledger.take_lease(SHOP, holder="mara (cli)", verb="rollback", at=NOW)
    assert isinstance(found, LeaseFacts)
    assert (found.pid, found.token) == (pid, held)
    ledger.close()


def test_a_silent_holder_keeps_nothing_for_ever(holder: tuple[int, int], path: Path) -> None:
    pid, held = holder
    ledger = opened(path)
    ledger.db.execute("update leases set beat = beat - ?", [leases.LEASE_SECONDS + 1])
    assert ledger.find_lease(SHOP) is None
    assert ledger.take_lease(SHOP, holder="mara (cli)", verb="rollback", at=NOW) == held + 1
    assert Path(f"/proc/{pid}").exists()
    ledger.close()


def test_a_holder_that_gives_signs_of_life_keeps_the_lease(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
    mine = token(ledger)
    ledger.db.execute("update leases set beat = beat - ?", [leases.LEASE_SECONDS + 1])
    with ledger.heartbeat(SHOP, mine):
        until = time.monotonic() + 10
        while ledger.find_lease(SHOP) is None:
            assert time.monotonic() < until, "no sign of life"
            time.sleep(0.01)


def test_a_lease_may_be_taken_from_a_living_holder_by_force_and_he_learns_of_it(path: Path, ledger: SqliteLedger) -> None:
    other, his = opened(path), token(ledger)
    mine = other.take_lease(SHOP, holder="jonas (web)", verb="rollback", at=NOW, by_force=True)
    assert mine == his + 1
    assert not ledger.lease_is_ours(SHOP, his)
    ledger.give_lease_back(SHOP, his)
    assert other.lease_is_ours(SHOP, his + 1)
    other.close()


def test_another_process_with_the_number_of_a_dead_holder_is_not_taken_for_it(ledger: SqliteLedger) -> None:
    mine = token(ledger)
    ledger.db.execute("update leases set pid_start = pid_start - 1")
    assert isinstance(ledger.take_lease(SHOP, holder="jonas (web)", verb="rollback", at=NOW), int)
    assert not ledger.lease_is_ours(SHOP, mine)


def test_a_lease_from_before_a_reboot_is_free(ledger: SqliteLedger) -> None:
    mine = token(ledger)
    ledger.db.execute("update leases set boot = 'an earlier one'")
    assert ledger.find_lease(SHOP) is None
    assert ledger.take_lease(SHOP, holder="jonas (web)", verb="rollback", at=NOW) == mine + 1


def test_tokens_only_grow_even_when_the_app_is_removed_in_between(ledger: SqliteLedger) -> None:
    tokens = []
    for _ in range(3):
        tokens.append(token(ledger))
        ledger.give_lease_back(SHOP, tokens[-1])
    ledger.remove_app(SHOP)
    tokens.append(token(ledger))
    assert tokens == sorted(set(tokens))


def test_only_one_of_many_gets_the_lease(path: Path, ledger: SqliteLedger) -> None:
    start = threading.Barrier(8)

    def take(turn: int) -> object:
        mine = opened(path)
        start.wait(30)
        got = mine.take_lease(SHOP, holder=f"{turn}", verb="upgrade", at=NOW)
        mine.close()
        return got

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(take, range(8)))
    assert sum(isinstance(one, int) for one in got) == 1


def test_a_process_with_odd_characters_in_its_name_is_found_alive() -> None:
    assert process_start(os.getpid()) is not None
    assert process_start(2**22 + 1) is None


# -- HAProxy's table -----------------------------------------------------------------------------------------------
def routed(ledger: SqliteLedger, number: int) -> None:
    place(ledger, number)
    ledger.set_instance(SHOP, InstanceId(number), routed=True)


def test_only_the_newest_proven_running_release_of_a_version_is_offered_for_preview(ledger: SqliteLedger) -> None:
    numbers = [ledger.ensure_release(SHOP, Version("v1"), (Component(bundle(1, port=p)),), at=NOW).number for p in (1, 2, 3)]
    for number in numbers:
        routed(ledger, number)
    for number in numbers[:2]:
        ledger.mark_proven(SHOP, number, at=NOW)
    backends = ledger.table(bridged=True).backends
    assert [(b.release, b.preview) for b in backends] == [(1, False), (2, True), (3, False)]


def test_haproxy_reaches_containers_by_address_or_by_published_port(ledger: SqliteLedger) -> None:
    number = release(ledger, 1)
    routed(ledger, number)
    (bridged,), (published,) = ledger.table(bridged=True).backends, ledger.table(bridged=False).backends
    assert (bridged.address, bridged.port, bridged.bridge) == ("172.30.0.2", 8080, "dc-shop")
    assert (published.address, published.port, published.bridge) == ("127.0.0.1", PORTS[0], None)


def test_what_is_not_routed_or_on_hold_is_told_so(ledger: SqliteLedger) -> None:
    one, two = release(ledger, 1), release(ledger, 2)
    routed(ledger, one)
    place(ledger, two)
    ledger.set_hold(SHOP, Version("v1"), None, HOLD)
    ledger.set_wishes(replace(app(), listen=("127.0.0.1", 8000), hosts=("a.example",)))
    promote(ledger, one)
    table = ledger.table(bridged=True)
    assert [(b.name, b.held) for b in table.backends] == [("shop.1", True)]
    assert (table.listens, table.hosts) == ({SHOP: ("127.0.0.1", 8000)}, {"a.example": SHOP})
    assert table.actives == {SHOP: one}
