"""A restart is one container after the other, each healthy before the next one ends, and no request for one that is down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import ComponentName
from deployctl.errors import ConfirmationNeeded, NotFound, NotHealthy
from deployctl.usecases.change.restart import restart
from deployctl.usecases.change.stop import stop
from tests.unit.world import SHOP, V1, World, world

WORKER = ComponentName("worker")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.edit(replicas=2, needs={"api": "healthy"}, components={
            "api": {"port": 9000}, "worker": {"command": ["work"], "health": {"uptime": "1s"}}})
        made.upgraded("v1")
        made.engine.calls.clear()
        yield made


def calls(w: World) -> list[str]:
    """Return what was stopped and started, by the names of the containers without what they have in common."""
    made = [call for call in w.engine.calls if call.startswith(("stop ", "start "))]
    return [call.replace("shop--v1--r1", "").rpartition("--")[0] for call in made]


def test_each_is_restarted_in_the_order_of_their_needs(w: World) -> None:
    assert w.use(restart).sentence == "api, web, worker of shop v1 restarted"
    assert calls(w) == ["stop --api", "start --api", "stop ", "start ", "stop --web--2", "start --web--2",
                        "stop --worker", "start --worker"]
    assert all(i.routed == (i.component == "web") for i in w.ledger.instances(SHOP))


def test_a_replica_gets_no_requests_while_it_is_down(w: World) -> None:
    stop, routed = w.engine.ensure_stopped, list[tuple[str, bool]]()

    def look(container: str, **more: object) -> object:
        routed.append((container, any(i.routed for i in w.ledger.instances(SHOP) if container in {i.container, i.name})))
        return stop(container, **more)  # type: ignore[arg-type]

    w.engine.ensure_stopped = look  # type: ignore[method-assign, assignment]
    restart(SHOP, w.s)
    assert len(routed) == 4
    assert not any(was for _, was in routed)


def test_one_component_alone(w: World) -> None:
    restart(SHOP, w.s, component=WORKER)
    assert calls(w) == ["stop --worker", "start --worker"]
    with pytest.raises(NotFound, match="has no component nobody that runs, only api, web, worker"):
        restart(SHOP, w.s, component=ComponentName("nobody"))


def test_what_nothing_stands_in_for_asks_first(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upgraded("v1")
        with pytest.raises(ConfirmationNeeded, match="New requests wait while v1 restarts"):
            restart(SHOP, w.s)
        assert w.use(restart).sentence == "shop v1 restarted"
        assert w.serving == w.active == "v1"
        assert w.ledger.find_instance(SHOP, InstanceId(1)).routed  # type: ignore[union-attr]


def test_one_that_does_not_come_back_is_told_and_the_rest_is_left(w: World) -> None:
    w.sick["v1 api"] = 503
    with pytest.raises(NotHealthy, match="api of v1"):
        w.use(restart)
    assert calls(w) == ["stop --api", "start --api"]
    assert w.ledger.find_lease(SHOP) is None


def test_without_a_live_version_there_is_nothing_to_restart(w: World) -> None:
    w.use(stop, V1)
    with pytest.raises(NotFound, match="no live version"):
        restart(SHOP, w.s)
