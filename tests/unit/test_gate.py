"""Before its promotion a candidate answers where visitors come from, or nothing changes and the cause has a code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.domain.change.plan import PlanKind, StepKind
from deployctl.domain.change.planner import plan_move, plan_start
from deployctl.domain.images.release import App, Probe, ProbeKind
from deployctl.domain.inputs.names import Version
from deployctl.domain.proxy.gate import ANY, GateAnswer, failed_sentence, question_of
from deployctl.domain.proxy.rejections import Cause
from deployctl.errors import NotHealthy
from deployctl.usecases.change.start import start
from tests.unit.facts import Past
from tests.unit.world import SHOP, World, world

APP = App(SHOP, "", "", "", "", hosts=("shop.example.com", "www.example.com"))


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made.upgraded("v1")


def spoil(w: World, cause: Cause = Cause.INVALID_ANSWER, release: int = 2) -> list[int]:
    """Let what that release answers not reach visitors; return where each question will be noted."""
    asked: list[int] = []
    real = w.traffic.ask

    def ask(app: str, number: int, probe: Probe, *, replica: str = "") -> GateAnswer:
        asked.append(number)
        return real(SHOP, number, probe)

    w.traffic.ask = ask  # type: ignore[method-assign,assignment]
    w.traffic.spoil(SHOP, release, cause, detail="HAProxy stopped in the header Transfer-Encoding")
    return asked


# -- the question -------------------------------------------------------------------------------------------------
def test_an_http_probe_is_asked_as_it_is_with_the_hosts_name() -> None:
    probe = Probe(path="/healthz", status=((204, 204),), body="fine", timeout=1)
    assert question_of(probe, APP) == Probe(
        path="/healthz", status=((204, 204),), body="fine", timeout=1, host="shop.example.com")


def test_a_host_of_the_probe_itself_counts_first_and_an_app_without_one_is_called_by_its_name() -> None:
    assert question_of(Probe(host="health.local"), APP).host == "health.local"
    assert question_of(Probe(), App(SHOP, "", "", "", "", listen=("127.0.0.1", 8000))).host == "shop"


@pytest.mark.parametrize("kind", [ProbeKind.TCP, ProbeKind.EXEC, ProbeKind.DOCKER])
def test_another_probe_asks_for_the_first_page_and_takes_any_answer(kind: ProbeKind) -> None:
    asked = question_of(Probe(kind=kind, path="/x", deadline=7, fall=5), APP)
    assert (asked.kind, asked.path, asked.status, asked.timeout, asked.fall) == (ProbeKind.HTTP, "/", ANY, 7, 5)


@pytest.mark.parametrize("cause", [Cause.NOT_HTTP, Cause.NO_ANSWER, Cause.TIMEOUT])
def test_who_speaks_something_else_is_told_what_can_be_served(cause: Cause) -> None:
    said = failed_sentence(Version("v1"), GateAnswer("", cause, 502, "it started with '220 mail ESMTP'"))
    assert "Only HTTP/1.1 apps are supported" in said
    assert "220 mail" in said


# -- the plan -----------------------------------------------------------------------------------------------------
def test_what_is_brought_up_is_asked_before_the_traffic_moves_and_what_is_warm_never() -> None:
    past = Past(2).upgrade(1)
    past.removed = {2}
    for plan in (plan_move(past.facts, PlanKind.UPGRADE, past.facts.releases[2]),
                 plan_move(past.facts, PlanKind.ROLLBACK, past.facts.releases[2])):
        kinds = [step.kind for step in plan.steps]
        assert kinds.index(StepKind.ROUTE) < kinds.index(StepKind.GATE) < kinds.index(StepKind.SWITCH)
    assert StepKind.GATE in [step.kind for step in plan_start(past.facts, past.facts.releases[2]).steps]
    warm = Past(2).upgrade(1, 2)
    rollback = plan_move(warm.facts, PlanKind.ROLLBACK, warm.facts.releases[1])
    assert StepKind.GATE not in [step.kind for step in rollback.steps]


# -- what a failure does ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cause", list(Cause))
def test_a_candidate_whose_answers_do_not_reach_visitors_changes_nothing(w: World, cause: Cause) -> None:
    spoil(w, cause)
    with pytest.raises(NotHealthy) as failed:
        w.upgrade("v2")
    assert failed.value.code == f"gate_{cause}"
    assert "deployctl logs shop --proxy" in failed.value.remedy
    assert (w.serving, w.active, w.running()) == ("v1", "v1", {"v1"})
    assert w.containers()["v2"] == "stopped", "it is kept for inspection"
    found = w.release("v2")
    assert (found.proven_at, found.failure) == (None, failed.value.message)
    assert w.ledger.deployments(SHOP)[0].outcome == "reverted"


def test_a_first_version_that_is_refused_stays_for_a_look_and_the_address_stays_the_apps(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        spoil(w, release=1)
        with pytest.raises(NotHealthy):
            w.upgrade("v1")
        table = w.ledger.table(bridged=True)
        assert (table.listens, table.backends, w.traffic.routes()) == ({SHOP: ("127.0.0.1", 8000)}, (), {})
        w.edit(listen=9000)  # nobody is served there: nothing to ask
        with pytest.raises(NotHealthy):
            w.upgrade("v1")
        assert w.ledger.table(bridged=True).listens == {SHOP: ("127.0.0.1", 8000)}


def test_it_is_proven_only_by_the_gate(w: World) -> None:
    seen: list[str | None] = []
    real = w.traffic.ask

    def ask(app: str, number: int, probe: Probe, *, replica: str = "") -> GateAnswer:
        seen.append(w.release("v2").proven_at)
        preview = [b.release for b in w.ledger.table(bridged=True).backends if b.preview]
        assert preview == [1], "neither header nor cookie leads to it yet"
        return real(SHOP, number, probe)

    w.traffic.ask = ask  # type: ignore[method-assign,assignment]
    w.upgrade("v2")
    assert seen == [None]
    assert w.release("v2").proven_at
    assert [b.release for b in w.ledger.table(bridged=True).backends if b.preview] == [1, 2]


def test_one_bad_answer_is_no_verdict(w: World) -> None:
    asked = spoil(w)
    slept = w.clock.sleep

    def sleep(seconds: float) -> None:
        if len(asked) == 2:
            w.traffic.spoil(SHOP, 2, None)
        slept(seconds)

    w.clock.sleep = sleep  # type: ignore[method-assign]
    w.upgrade("v2")
    assert (asked, w.serving) == ([2, 2, 2], "v2")


def test_as_many_bad_answers_in_a_row_as_a_probe_may_have_are_one(w: World) -> None:
    asked = spoil(w)
    with pytest.raises(NotHealthy):
        w.upgrade("v2")
    assert asked == [2, 2, 2]


def test_whoever_never_answers_is_not_waited_for_again(w: World) -> None:
    asked = spoil(w, Cause.TIMEOUT)
    with pytest.raises(NotHealthy):
        w.upgrade("v2")
    assert asked == [2]


def test_a_warm_rollback_asks_nothing_through_haproxy(w: World) -> None:
    w.upgrade("v2")
    asked = spoil(w, release=1)
    w.rollback()
    assert (asked, w.serving) == ([], "v1")


def test_what_is_started_beside_passes_the_gate_too(w: World) -> None:
    w.upgrade("v2")
    w.edit(env={"WORKERS": "4"})
    spoil(w, release=3)
    with pytest.raises(NotHealthy):
        w.upgrade("v3")
    with pytest.raises(NotHealthy):
        w.use(start, Version("v3"))
    assert w.serving == "v2"


def test_a_retry_that_passes_is_proven_and_forgets_the_failure(w: World) -> None:
    spoil(w)
    with pytest.raises(NotHealthy):
        w.upgrade("v2")
    w.traffic.spoil(SHOP, 2, None)
    w.upgrade("v2")
    found = w.release("v2")
    assert (w.serving, found.failure) == ("v2", None)
    assert found.proven_at
