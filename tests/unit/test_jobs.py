"""Jobs run once for each release, before what needs them, and never again by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.config.app import parse_app_spec
from deployctl.domain.change.diagnosis import FailureCause
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import ComponentName
from deployctl.errors import Invalid, NotHealthy
from deployctl.testing.fake_engine import Behaviour
from deployctl.usecases.change.reconcile import preview_reconcile
from deployctl.usecases.change.stop import stop
from tests.unit.test_components import kinds, states
from tests.unit.world import SHOP, V1, YES, World, world

MIGRATE = ("bin/migrate",)
JOB = ComponentName("migrate")
KEYS: dict[str, Any] = {"needs": {"migrate": "completed"},
                        "components": {"migrate": {"kind": "job", "command": [*MIGRATE], "timeout": "30s"}}}


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.edit(**KEYS)
        made.engine.behaviours[MIGRATE] = Behaviour(exits=0)
        yield made


def runs(w: World) -> int:
    return sum("migrate" in call for call in w.engine.calls if call.startswith("start "))


def test_a_job_runs_before_what_needs_it_and_once_for_a_release(w: World) -> None:
    w.upgraded("v1")
    assert kinds(w)[:8] == ["image migrate", "image web", "network", "create migrate", "create web", "job migrate", "start web",
                            "health web"]
    assert states(w) == {"v1 web": "running", "v1 migrate": "stopped"}
    assert w.release("v1").completed == (JOB,)
    w.upgraded("v2")
    w.rollback()
    assert runs(w) == 2
    stop(SHOP, V1, w.s, options=YES)
    w.upgrade("v1")
    assert runs(w) == 2, "v1 was migrated when it was first deployed"
    assert not preview_reconcile(w.s).lines


def test_a_job_that_fails_changes_nothing_and_is_kept_with_its_log(w: World) -> None:
    w.upgraded("v1")
    w.engine.behaviours[MIGRATE] = Behaviour(exits=3, prints=("no such table: orders",))
    with pytest.raises(NotHealthy, match=r"migrate of v2 ended with exit code 3") as told:
        w.upgrade("v2")
    assert told.value.cause == FailureCause.JOB_FAILED
    assert any("no such table: orders" in line for line in told.value.details)
    assert (w.serving, w.active) == ("v1", "v1")
    assert states(w) == {"v1 web": "running", "v1 migrate": "stopped", "v2 migrate": "stopped"}
    w.engine.behaviours[MIGRATE] = Behaviour(exits=0)
    assert w.upgrade("v2").target == "v2", "asked for again, it runs again"


def test_a_job_that_does_not_end_is_stopped_and_what_may_still_run_is_told(w: World) -> None:
    w.upgraded("v1")
    w.engine.behaviours[MIGRATE] = Behaviour()
    with pytest.raises(NotHealthy, match=r"did not end within 30 s and was stopped.*may still be running there") as told:
        w.upgrade("v2")
    assert told.value.cause == FailureCause.JOB_TIMED_OUT
    assert states(w)["v2 migrate"] == "stopped"
    assert w.serving == "v1"


def test_what_completed_does_not_run_again_when_the_rest_failed(w: World) -> None:
    w.sick["v1"] = 503
    with pytest.raises(NotHealthy):
        w.upgrade("v1")
    assert w.release("v1").completed == (JOB,)
    del w.sick["v1"]
    w.upgrade("v1")
    assert runs(w) == 1
    assert w.serving == "v1"


def test_a_job_whose_container_is_removed_or_runs_again_is_nobodys_repair(w: World) -> None:
    w.upgraded("v1")
    job = w.ledger.find_instance(SHOP, InstanceId(1, JOB))
    assert job is not None
    w.engine.behaviours[MIGRATE] = Behaviour()
    w.engine.ensure_started(job.name)
    (line,) = preview_reconcile(w.s).lines
    assert (line.repair, "is a job and runs again" in line.summary) == (None, True)
    w.engine.ensure_removed(job.name)
    assert not preview_reconcile(w.s).lines


@pytest.mark.parametrize(("keys", "why"), [
    ({"needs": {"migrate": "healthy"}}, r"needs\.migrate = \"healthy\", but migrate is a job"),
    ({"components": {"migrate": {"kind": "job", "port": 80}}}, r"components\.migrate\.port is not for a job"),
    ({"needs": {"api": "completed"}, "components": {"api": {"port": 80}}}, r"needs\.api = \"completed\", but api is not a job"),
    ({"needs": {}, "components": {"api": {"port": 80, "timeout": "3s"}}}, r"components\.api\.timeout is for a job"),
])
def test_what_a_job_cannot_be_is_told(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        parse_app_spec({"image": "acme/shop", "port": 8080, "listen": 8000, **KEYS, **keys}, where="config/shop.toml")
