"""The health check of a candidate: from outside, in time, and every way of failing ends it with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.change.diagnosis import FailureCause
from deployctl.domain.images.component import Component, InstanceId
from deployctl.domain.images.release import Probe, ProbeKind, Release
from deployctl.errors import EngineRefused, EngineUnavailable, NotHealthy
from deployctl.execution.health_gate import LOG_LINES, HealthGate, ask_from_outside
from deployctl.ports import ContainerFacts, Executed, ProbeAnswer
from deployctl.testing.fake_engine import Behaviour
from tests.unit.world import SHOP, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.upgraded("v1")
        made.prober.asked.clear()
        yield made


def trial(w: World, check: Any = lambda: None, *, engine_away: bool = False, **probe: Any) -> HealthGate:
    release = w.release("v1")
    probed = replace(release.bundle, probe=replace(release.bundle.probe, **probe))
    release = replace(release, components=(Component(probed),))
    instance = w.ledger.find_instance(SHOP, InstanceId(release.number))
    assert instance is not None
    return HealthGate(release, instance, w.s, check, engine_away=engine_away)


def answers(w: World, *said: Any) -> None:
    """Let the next probes be answered so; the last answer stays."""
    left = list(said)
    w.prober.script = lambda asked: left.pop(0) if len(left) > 1 else left[0]


def visit(w: World, *answers: int | None) -> None:
    """Let visitors come, and HAProxy have an answer of the app for each, or none."""
    for answer in answers:
        w.traffic.visit(SHOP, answer)


def edit_container(w: World, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    find = w.engine.find_container

    def edited(container: str) -> ContainerFacts | None:
        found = find(container)
        return found and replace(found, **fields)

    monkeypatch.setattr(w.engine, "find_container", edited)


# -- until ready --------------------------------------------------------------------------------------------------
def test_rise_good_answers_in_a_row_make_it_ready(w: World) -> None:
    answers(w, 503, 200, 503, 200, 200, 200)
    assert trial(w, rise=3).until_ready() == "GET / 3 of 3 good answers"
    assert len(w.prober.asked) == 6


def test_it_is_asked_every_tenth_of_a_second_whatever_the_file_says(w: World) -> None:
    begun = w.clock.now()
    trial(w, rise=5, interval=60.0).until_ready()
    assert w.clock.now() - begun < 1


def test_the_deadline_ends_it_and_says_how_often_it_was_asked(w: World) -> None:
    answers(w, 503)
    begun = w.clock.now()
    with pytest.raises(NotHealthy, match=r"GET / gave 503 for 5 s \(\d+ of \d+ checks\)") as failed:
        trial(w, deadline=5.0).until_ready()
    assert 5 <= w.clock.now() - begun < 6
    assert any("× GET / gave 503" in line for line in failed.value.details)


def test_start_grace_is_time_on_top_of_the_deadline(w: World) -> None:
    answers(w, "connection refused")
    w.clock.after(7, lambda: answers(w, 200))
    trial(w, start_grace=5.0, deadline=4.0).until_ready()


def test_good_answers_count_during_the_grace_too(w: World) -> None:
    begun = w.clock.now()
    trial(w, start_grace=30.0).until_ready()
    assert w.clock.now() - begun < 1


def test_whoever_may_stop_it_is_asked_between_any_two_probes(w: World) -> None:
    answers(w, 503)
    asked: list[int] = []

    def check() -> None:
        asked.append(len(w.prober.asked))
        if len(asked) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trial(w, check).until_ready()
    assert asked == [1, 2, 3]


def test_one_that_exits_ends_the_trial_at_once_with_its_last_words(w: World) -> None:
    answers(w, "connection refused")
    instance = w.ledger.instances(SHOP)[0]
    w.clock.after(2, lambda: w.engine.die(instance.container or "", exit_code=3))
    begun = w.clock.now()
    with pytest.raises(NotHealthy, match="exited with code 3"):
        trial(w).until_ready()
    assert w.clock.now() - begun < 3


def test_one_that_docker_started_again_has_failed(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(w, "connection refused")
    w.clock.after(2, lambda: edit_container(w, monkeypatch, restarts=1, exit_code=1))
    with pytest.raises(NotHealthy, match="exited with code 1"):
        trial(w).until_ready()


def test_earlier_restarts_do_not_count(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_container(w, monkeypatch, restarts=4)
    trial(w).until_ready()


def test_a_container_that_somebody_moved_to_another_address_never_passes(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_container(w, monkeypatch, addresses={"other": "10.9.8.7"})
    with pytest.raises(NotHealthy, match=r"answers on 10\.9\.8\.7 and not on its own"):
        trial(w).until_ready()
    assert w.prober.asked == []


def test_a_container_that_is_gone_ends_it(w: World) -> None:
    w.engine.ensure_removed(w.ledger.instances(SHOP)[0].container or "")
    with pytest.raises(NotHealthy, match="was removed by someone"):
        trial(w).until_ready()


def test_out_of_memory_that_docker_tells_a_moment_later_is_still_told(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    container = w.ledger.instances(SHOP)[0].container or ""
    w.engine.die(container, exit_code=137)
    w.clock.after(0.2, lambda: edit_container(w, monkeypatch, oom_killed=True))
    with pytest.raises(NotHealthy, match="ran out of memory at its limit of 512 MiB"):
        trial(w).until_ready()


def test_the_evidence_ends_with_the_last_log_lines_and_no_more(w: World) -> None:
    digest = w.release("v1").digest
    w.engine.behaviours[digest] = Behaviour(prints=tuple(f"line {n}" for n in range(2 * LOG_LINES)))
    container = w.ledger.instances(SHOP)[0].container or ""
    w.engine.ensure_stopped(container, grace=0)
    w.engine.ensure_started(container)
    answers(w, 503)
    with pytest.raises(NotHealthy) as failed:
        trial(w, deadline=1.0).until_ready()
    assert f"  line {2 * LOG_LINES - 1}" in failed.value.details
    assert len(failed.value.details) < 30


# -- one good answer ----------------------------------------------------------------------------------------------
def test_one_that_was_proven_needs_one_good_answer(w: World) -> None:
    assert trial(w, rise=9).quick() == "GET / gave 200 in 1 ms"
    assert len(w.prober.asked) == 1


def test_one_that_was_proven_fails_after_fall_bad_answers(w: World) -> None:
    answers(w, 503)
    with pytest.raises(NotHealthy):
        trial(w, fall=4).quick()
    assert len(w.prober.asked) == 4


def test_one_bad_answer_of_a_proven_one_is_forgiven(w: World) -> None:
    answers(w, 503, 200)
    assert "gave 200" in trial(w).quick()


def test_an_engine_that_is_away_leaves_the_probes_word(w: World) -> None:
    w.engine.away = "it was stopped"
    assert "gave 200" in trial(w, engine_away=True).quick()
    assert "gave 200" in trial(w).quick(), "even when it went away just now"


# -- under traffic ------------------------------------------------------------------------------------------------
def test_a_watch_lasts_its_time_and_asks_at_the_interval(w: World) -> None:
    begun = w.clock.now()
    trial(w, interval=0.5).watch(10)
    assert 10 <= w.clock.now() - begun < 11
    assert 15 <= len(w.prober.asked) <= 25


def test_a_watch_ends_after_fall_bad_answers_in_a_row(w: World) -> None:
    answers(w, 200, 503, 503, 200, 503)
    begun = w.clock.now()
    with pytest.raises(NotHealthy):
        trial(w, fall=3, interval=1.0).watch(60)
    assert w.clock.now() - begun < 10


def test_a_watch_sees_an_exit_before_the_next_probe(w: World) -> None:
    instance = w.ledger.instances(SHOP)[0]
    w.clock.after(3.1, lambda: w.engine.die(instance.container or ""))
    begun = w.clock.now()
    with pytest.raises(NotHealthy, match="exited"):
        trial(w, interval=1.0).watch(60)
    assert w.clock.now() - begun < 3.6


def test_a_watch_ends_when_no_visitor_gets_an_answer_though_the_probe_does(w: World) -> None:
    w.clock.after(3.1, lambda: visit(w, *[None] * 10))
    begun = w.clock.now()
    with pytest.raises(NotHealthy, match="passes its health check, but none of 10 client requests") as told:
        trial(w, interval=1.0).watch(60)
    assert told.value.code == "none_answered"
    assert told.value.remedy[0] == "deployctl logs shop --proxy"
    assert w.clock.now() - begun < 5


def test_a_watch_looks_once_more_at_its_end(w: World) -> None:
    w.clock.after(0.15, lambda: visit(w, *[None] * 10))
    with pytest.raises(NotHealthy):
        trial(w, interval=1.0).watch(0.2)


@pytest.mark.parametrize("answers", [(None,) * 9, (*(None,) * 50, 500), (404, *(None,) * 50)])
def test_one_answer_or_few_visitors_are_enough_to_go_on(w: World, answers: tuple[int | None, ...]) -> None:
    w.clock.after(1, lambda: visit(w, *answers))
    trial(w, interval=1.0).watch(5)


def test_what_failed_before_the_watch_is_not_its_fault(w: World) -> None:
    visit(w, *[None] * 50)
    trial(w, interval=1.0).watch(5)


def test_a_watch_goes_on_when_haproxy_cannot_be_asked(w: World) -> None:
    w.clock.after(1, w.traffic.die)
    trial(w, interval=1.0).watch(5)


# -- from inside --------------------------------------------------------------------------------------------------
def test_a_command_is_asked_inside_with_its_own_time_limit(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[tuple[str, ...], float]] = []

    def execute(container: str, command: tuple[str, ...], *, timeout: float) -> Executed:
        asked.append((tuple(command), timeout))
        return Executed(0 if len(asked) > 2 else 1, "not yet\n")

    monkeypatch.setattr(w.engine, "execute", execute)
    text = trial(w, kind=ProbeKind.EXEC, command=("check", "-q"), timeout=3.0, rise=2).until_ready()
    assert text == "command check -q 2 of 2 good answers"
    assert asked == [(("check", "-q"), 3.0)] * 4


def test_what_a_command_said_last_is_in_the_message(w: World) -> None:
    w.engine.executes = lambda container, command: Executed(2, "first\nno database\n")
    with pytest.raises(NotHealthy, match="ended with 2: no database"):
        trial(w, kind=ProbeKind.EXEC, command=("check",), deadline=1.0).until_ready()


@pytest.mark.parametrize("probe", [{"kind": ProbeKind.EXEC, "command": ("check",)}, {"kind": ProbeKind.DOCKER}])
def test_a_probe_from_inside_needs_the_engine(w: World, probe: dict[str, Any]) -> None:
    w.engine.away = "it was stopped"
    with pytest.raises(EngineUnavailable):
        trial(w, engine_away=True, **probe).quick()


@pytest.mark.parametrize(("health", "passes"), [("healthy", True), ("starting", False), (None, False)])
def test_the_images_own_check_is_believed_once_it_says_healthy(
    w: World, monkeypatch: pytest.MonkeyPatch, health: str | None, *, passes: bool
) -> None:
    edit_container(w, monkeypatch, health=health)
    one = trial(w, kind=ProbeKind.DOCKER, deadline=1.0, rise=5)
    if passes:
        one.until_ready()
        return
    with pytest.raises(NotHealthy, match=f"HEALTHCHECK says {health or 'none'}"):
        one.until_ready()


def test_the_images_own_check_is_run_while_the_engine_has_no_result_yet(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_container(w, monkeypatch, health="starting", healthcheck=("/check", "-q"))
    ran: list[tuple[str, ...]] = []

    def execute(_container: ContainerFacts, command: Sequence[str]) -> Executed:
        ran.append(tuple(command))
        return Executed(int(len(ran) < 3), "no database")

    w.engine.executes = execute
    begun = w.clock.now()
    assert trial(w, kind=ProbeKind.DOCKER, deadline=60.0).until_ready()
    assert ran == [("/check", "-q")] * 3
    assert w.clock.now() - begun < 1


def test_what_the_images_own_check_printed_is_told(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_container(w, monkeypatch, health="starting", healthcheck=("/check",))
    w.engine.executes = lambda _container, _command: Executed(1, "no database\n")
    with pytest.raises(NotHealthy, match="no database") as told:
        trial(w, kind=ProbeKind.DOCKER, deadline=1.0).until_ready()
    assert told.value.cause == FailureCause.HEALTHCHECK_FAILS


def test_where_it_may_not_be_run_the_engines_result_is_awaited(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_container(w, monkeypatch, health="starting", healthcheck=("/check",))
    w.engine.fail_next("execute", EngineRefused("exec is not allowed"))
    one = trial(w, kind=ProbeKind.DOCKER)
    assert one.ask().sentence == "HEALTHCHECK says starting"
    assert one.ask().ok


def test_the_images_own_check_that_says_unhealthy_ends_it_at_once(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_container(w, monkeypatch, health="unhealthy", health_output="no database")
    begun = w.clock.now()
    with pytest.raises(NotHealthy, match="no database"):
        trial(w, kind=ProbeKind.DOCKER).until_ready()
    assert w.clock.now() - begun < 1


# -- the way there ------------------------------------------------------------------------------------------------
def asked_with(w: World, release: Release, *, bridged: bool) -> tuple[str, int, str, str | None]:
    instance = w.ledger.find_instance(SHOP, InstanceId(release.number))
    assert instance is not None
    ask_from_outside(replace(w.s, bridged=bridged), release, instance)
    asked = w.prober.asked[-1]
    return asked.address, asked.port, asked.host, asked.bridge


def test_it_is_asked_the_way_that_haproxy_reaches_it(w: World) -> None:
    release, app = w.release("v1"), w.ledger.apps()[0]
    instance = w.ledger.instances(SHOP)[0]
    w.prober.script = lambda asked: ProbeAnswer(ok=True, sentence="fine")
    assert asked_with(w, release, bridged=True) == (instance.address, 8080, "shop", app.bridge)
    assert asked_with(w, release, bridged=False) == ("127.0.0.1", instance.host_port, "shop", None)


def test_the_host_of_the_probe_is_the_apps_name_unless_its_file_has_another(w: World) -> None:
    release = w.release("v1")
    other = replace(release, components=(Component(replace(release.bundle, probe=Probe(host="shop.example.com"))),))
    w.prober.script = lambda asked: ProbeAnswer(ok=True, sentence="fine")
    assert asked_with(w, other, bridged=True)[2] == "shop.example.com"
