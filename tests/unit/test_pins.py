"""An address that HAProxy may send visitors to is pinned to its container, and to nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.domain.change.drift import DriftKind, Repair
from deployctl.domain.host.networks import mac_of
from deployctl.domain.images.component import InstanceId
from deployctl.errors import DeployctlError, LeaseHeld
from deployctl.execution.pins import try_to_pin
from deployctl.ports import Neighbour
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.reconcile import preview_reconcile, reconcile
from deployctl.usecases.change.stop import stop
from deployctl.usecases.setup.doctor import findings
from deployctl.usecases.view.status import status
from deployctl.watch.watch import Watch
from tests.unit.world import SHOP, V2, World, world

FOREIGN = "02:42:ac:1c:00:02"


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """v2 serves, v1 is its warm standby."""
    with world(tmp_path) as made:
        yield made.upgraded("v1", "v2")


def address(w: World, version: str) -> str:
    instance = w.ledger.find_instance(SHOP, InstanceId(w.release(version).number))
    assert instance is not None
    return instance.address


def name(w: World, version: str) -> str:
    instance = w.ledger.find_instance(SHOP, InstanceId(w.release(version).number))
    assert instance is not None
    return instance.name


def bridge(w: World) -> str:
    app = w.ledger.find_app(SHOP)
    assert app is not None
    return app.bridge


def with_another_mac(w: World, version: str) -> None:
    """Let it be as an engine made it before the MAC was set."""
    found = w.engine.find_container(name(w, version))
    assert found is not None
    w.engine.meddle(name(w, version), macs=dict.fromkeys(found.macs, FOREIGN))


def test_a_mac_is_made_from_the_address_alone_and_is_no_manufacturers() -> None:
    assert mac_of("172.28.0.2") == "0a:dc:ac:1c:00:02"
    assert int(mac_of("10.0.0.1")[:2], 16) & 0b11 == 0b10, "locally administered, of one station"


def test_what_haproxy_carries_is_pinned_with_its_port(w: World) -> None:
    assert w.guard.pinned() == {address(w, "v1"), address(w, "v2")}
    assert w.guard.held(bridge(w)) == {mac_of(address(w, "v1")), mac_of(address(w, "v2"))}


def test_what_is_stopped_or_removed_is_pinned_no_more(w: World) -> None:
    v1, v2 = address(w, "v1"), address(w, "v2")
    w.upgrade("v3")
    assert w.guard.pinned() == {v2, address(w, "v3")}
    w.use(stop, V2)
    assert w.guard.pinned() == {address(w, "v3")}
    assert v1 not in w.guard.pinned()


def test_a_candidate_that_fails_leaves_no_pin(w: World) -> None:
    before = w.guard.pinned()
    w.sick["v3"] = 503
    with pytest.raises(Exception, match="v3"):
        w.upgrade("v3")
    assert w.guard.pinned() == before


def test_a_container_with_another_mac_is_never_pinned(w: World) -> None:
    w.guard.believed.clear()
    with_another_mac(w, "v1")
    w.rollback("v1")
    assert w.guard.pinned() == set()
    reconcile(w.s)
    assert w.guard.pinned() == {address(w, "v2")}


def test_a_rollback_pins_what_the_host_has_forgotten(w: World) -> None:
    w.guard.believed.clear()
    w.rollback("v1")
    assert w.guard.pinned() == {address(w, "v1")}


def test_what_was_believed_of_an_address_is_forgotten_when_its_container_starts(w: World) -> None:
    v1 = address(w, "v1")
    w.engine.lose(name(w, "v1"))
    w.guard.believed[bridge(w), v1] = Neighbour(FOREIGN, pinned=False)
    w.guard.pin = _refuses  # type: ignore[method-assign]  # so that only what is forgotten is seen
    w.rollback("v1")
    assert v1 not in {at for _, at in w.guard.neighbours()}


def test_a_rollback_goes_on_where_nothing_can_be_pinned(w: World) -> None:
    w.guard.believed.clear()
    w.guard.permitted = False
    assert w.rollback("v1").target == "v1"
    assert w.serving == "v1"


def test_so_does_an_upgrade(w: World) -> None:
    w.guard.pin = _refuses  # type: ignore[method-assign]  # the one thing that fails
    assert w.upgrade("v3").target == "v3"


def _refuses(*args: object, **more: object) -> None:
    raise DeployctlError("no such port")


def test_a_holder_whose_lease_was_taken_over_pins_nothing_and_hears_it(w: World) -> None:
    def taken(*args: object, **more: object) -> None:
        raise LeaseHeld("somebody else")

    app, instance = w.ledger.find_app(SHOP), w.ledger.find_instance(SHOP, InstanceId(1))
    assert app is not None
    assert instance is not None
    w.guard.pin = taken  # type: ignore[method-assign]  # as the fence does it
    with pytest.raises(LeaseHeld):
        try_to_pin(w.s, app, instance)


# -- what drifted -------------------------------------------------------------------------------------------------------
def kinds(w: World) -> list[tuple[str, object, int | None]]:
    return [(line.kind, line.repair_code, line.release) for line in preview_reconcile(w.s).lines]


def test_a_pin_that_is_gone_is_told_and_put_back(w: World) -> None:
    w.guard.believed.clear()
    assert kinds(w) == [(DriftKind.PIN, Repair.PIN, 2), (DriftKind.PIN, Repair.PIN, 1)]
    assert not reconcile(w.s).left
    assert w.guard.pinned() == {address(w, "v1"), address(w, "v2")}
    assert kinds(w) == []


def test_a_port_that_is_free_since_a_restart_is_held_again(w: World) -> None:
    w.guard.ports.clear()
    assert not reconcile(w.s).left
    assert w.guard.held(bridge(w)) == {mac_of(address(w, "v1")), mac_of(address(w, "v2"))}


def test_a_pin_to_a_mac_that_the_container_has_no_more_is_taken_away(w: World) -> None:
    with_another_mac(w, "v2")
    assert kinds(w) == [(DriftKind.PIN, Repair.UNPIN, 2)]
    reconcile(w.s)
    assert address(w, "v2") not in w.guard.pinned()
    assert kinds(w) == []


def test_nothing_is_told_where_nothing_can_be_pinned(w: World) -> None:
    w.guard.believed.clear()
    w.guard.permitted = False
    assert kinds(w) == []
    assert "not_pinned" in {one.code for one in findings(w.s)}


def test_the_doctor_names_what_is_not_pinned(w: World) -> None:
    assert "not_pinned" not in {one.code for one in findings(w.s)}
    w.guard.believed.clear()
    (found,) = (one for one in findings(w.s) if one.code == "not_pinned")
    assert (found.ok, found.fatal, found.fix) == (False, False, "deployctl reconcile")
    assert name(w, "v2") in found.message


def test_the_watcher_pins_after_a_start_of_the_host(w: World) -> None:
    w.guard.believed.clear()
    Watch(w.services(actor="mara (watcher)")).tick(set())
    assert w.guard.pinned() == {address(w, "v1"), address(w, "v2")}


# -- who answers --------------------------------------------------------------------------------------------------------
def test_an_instance_whose_address_another_one_answers_is_not_passing(w: World) -> None:
    w.guard.believed[bridge(w), address(w, "v2")] = Neighbour("0a:00:00:00:00:66", pinned=False)
    view = status(w.s).apps[0]
    assert view.active is not None
    assert (view.active.health, view.active.health_reason, view.state) == ("failing", "answered_by_another", "down")
    assert "0a:00:00:00:00:66" in view.active.probe_message


def test_what_nobody_asked_yet_and_what_has_no_mac_is_not_suspected(w: World) -> None:
    w.guard.believed.clear()
    assert status(w.s).apps[0].state == "healthy"
    w.guard.believed[bridge(w), address(w, "v2")] = Neighbour(FOREIGN, pinned=False)
    w.engine.meddle(name(w, "v2"), macs={})
    assert status(w.s).apps[0].state == "healthy"


def test_removing_the_app_leaves_no_pin(w: World) -> None:
    w.use(remove_app)
    assert w.guard.pinned() == set()


