"""Logs of an app: of all that is kept, since when it was asked, over a switch, and longer than containers live."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import cast

import pytest

from deployctl.domain.images.component import InstanceId
from deployctl.effects import kept_logs
from deployctl.effects.kept_logs import LogFiles
from deployctl.errors import DeployctlError, EngineUnavailable, NotFound
from deployctl.ports import LogLine
from deployctl.testing.fake_engine import Behaviour
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.stop import stop
from deployctl.usecases.view.logs import Printed, logs
from deployctl.usecases.view.logs_follow import FOLLOW_IDLE_SECONDS, MAX_LINES_AHEAD
from tests.unit.world import SHOP, V1, V2, V3, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """Each version says hello once it is started."""
    with world(tmp_path) as made:
        for number in range(1, 10):
            image = made.engine.images.find(f"acme/shop:v{number}")
            assert image is not None
            made.engine.behaviours[image.digest] = Behaviour(prints=(f"hello from v{number}",))
        yield made


def said(found: Iterator[Printed]) -> list[str]:
    return [f"{one.name}: {one.line.text}" for one in found]


def failed(w: World, version: str, **more: dict[str, str]) -> None:
    w.sick[version] = 503
    with pytest.raises(DeployctlError):
        w.upgrade(version, **more)


# -- of what, and since when ------------------------------------------------------------------------------------------
def test_stopped_and_failed_versions_are_told_too(w: World) -> None:
    w.upgraded("v1", "v2")
    w.use(stop, V1)
    w.clock.sleep(1)
    failed(w, "v3")
    assert said(logs(SHOP, None, w.s)) == ["v1: hello from v1", "v2: hello from v2", "v3: hello from v3"]
    assert said(logs(SHOP, V3, w.s)) == ["v3: hello from v3"]


def test_since_is_so_many_seconds_back_from_now(w: World) -> None:
    w.upgraded("v1")
    w.clock.sleep(3600)
    w.upgraded("v2")
    assert said(logs(SHOP, None, w.s, since=600)) == ["v2: hello from v2"]
    assert said(logs(SHOP, V1, w.s, since=600)) == []
    assert len(said(logs(SHOP, None, w.s, since=7200))) == 2


def test_releases_of_one_version_are_told_apart(w: World) -> None:
    w.upgraded("v1")
    w.clock.sleep(1)
    w.upgrade("v1", env={"A": "1"})
    assert said(logs(SHOP, V1, w.s)) == ["v1@1: hello from v1", "v1@2: hello from v1"]
    assert said(logs(SHOP, V1, w.s, release=1)) == ["v1@1: hello from v1"]
    with pytest.raises(NotFound, match="shop has no release 7"):
        logs(SHOP, V1, w.s, release=7)


def test_the_tail_is_of_each_release(w: World) -> None:
    w.upgraded("v1", "v2")
    assert said(logs(SHOP, None, w.s, tail=0)) == []
    assert len(said(logs(SHOP, None, w.s, tail=1))) == 2


# -- after the container ----------------------------------------------------------------------------------------------
def test_the_log_of_a_version_on_hold_outlives_its_container(w: World) -> None:
    w.edit(keep_stopped=0, keep_warm=0)
    w.upgraded("v1", "v2")
    w.rollback()
    w.upgraded("v3")
    w.use(prune)
    failed(w, "v4")
    w.sick.clear()
    w.upgraded("v5", "v6")
    assert w.ledger.find_instance(SHOP, InstanceId(2)) is None
    assert w.held() == {"v2"}
    assert said(logs(SHOP, V2, w.s)) == ["v2: hello from v2"]
    assert said(logs(SHOP, V2, w.s, since=1e6)) == ["v2: hello from v2"]


def test_a_kept_log_is_told_while_the_engine_is_away(w: World) -> None:
    w.kept_logs.keep(SHOP, InstanceId(1), [LogLine("2026-01-01T00:00:00.000Z", "stderr", "fatal")])
    w.upgraded("v1", "v2")
    w.ledger.remove_instance(SHOP, InstanceId(1))
    w.engine.away = "connection refused"
    assert said(logs(SHOP, V1, w.s)) == ["v1: fatal"]
    with pytest.raises(EngineUnavailable):
        logs(SHOP, V2, w.s)


def test_what_has_neither_container_nor_log_says_so(w: World) -> None:
    w.upgraded("v1", "v2")
    w.ledger.remove_instance(SHOP, InstanceId(1))
    with pytest.raises(NotFound, match="no kept log"):
        logs(SHOP, V1, w.s)
    with pytest.raises(NotFound, match='no version "v3"'):
        logs(SHOP, V3, w.s)


def test_a_retry_keeps_what_the_failed_one_said(w: World) -> None:
    w.upgraded("v1")
    failed(w, "v2")
    w.sick.clear()
    w.clock.sleep(1)
    w.upgrade("v2")
    assert said(logs(SHOP, V2, w.s)) == ["v2: hello from v2", "v2: hello from v2"]


def test_an_app_that_is_removed_takes_its_logs_along(w: World) -> None:
    w.upgraded("v1")
    failed(w, "v2")
    failed(w, "v3")
    assert w.kept_logs.releases(SHOP) == [2]
    w.use(remove_app)
    assert w.kept_logs.releases(SHOP) == []


# -- following --------------------------------------------------------------------------------------------------------
def test_following_an_app_goes_along_over_a_switch_and_a_restart(w: World) -> None:
    w.upgraded("v1")
    found = logs(SHOP, None, w.s, follow=True)
    assert next(found).line.text == "hello from v1"
    w.clock.sleep(1)
    w.upgraded("v2")
    assert next(found).name == "v2"
    w.clock.sleep(1)
    w.upgraded("v3")
    assert next(found).name == "v3"
    assert list(found) == [], "ends when nothing is left to wait for"


def test_following_one_version_leaves_the_others_alone(w: World) -> None:
    w.upgraded("v1", "v2")
    found = logs(SHOP, V1, w.s, follow=True)
    assert next(found).name == "v1"
    w.upgraded("v3")
    assert list(found) == []


def test_a_line_is_told_once(w: World) -> None:
    w.upgraded("v1")
    assert said(logs(SHOP, None, w.s, follow=True)) == ["v1: hello from v1"]


def test_who_does_not_take_the_lines_stalls_the_reading_and_who_leaves_ends_it(
        w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line that a follower had not taken yet was kept in memory, and its thread read on forever."""
    w.upgraded("v1")
    read, ended = [0], threading.Event()

    def endless(container: str, *, follow: bool = False, left: Callable[[], bool] = bool, **_more: object) -> Iterator[LogLine]:
        try:
            while follow and not left():
                read[0] += 1
                yield LogLine(f"2026-01-01T00:00:00.{read[0]:09d}Z", "stdout", "again")
        finally:
            ended.set()

    monkeypatch.setattr(w.engine, "logs", endless)
    found = logs(SHOP, None, w.s, follow=True)
    next(found)
    ended.clear()
    time.sleep(0.2)
    assert read[0] <= MAX_LINES_AHEAD + 10
    cast(Generator[Printed], found).close()
    assert ended.wait(10)


def test_following_ends_when_nobody_reads_any_more(w: World) -> None:
    w.upgraded("v1")
    gone = threading.Event()
    found = logs(SHOP, None, w.s, follow=True, left=gone.is_set)
    assert next(found).line.text == "hello from v1"
    before = w.clock.now()
    gone.set()
    assert list(found) == []
    assert w.clock.now() - before < FOLLOW_IDLE_SECONDS


# -- what was kept and what runs ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("tail", "texts"), [
    (None, ["1", "2", "3", "hello from v1"]), (10, ["1", "2", "3", "hello from v1"]), (3, ["2", "3", "hello from v1"]),
    (1, ["hello from v1"]), (0, []),
])
def test_the_tail_of_a_release_counts_what_was_kept_of_it(w: World, tail: int | None, texts: list[str]) -> None:
    w.upgraded("v1")
    w.kept_logs.keep(SHOP, InstanceId(1), [LogLine(f"2020-01-01T00:00:0{n}.000Z", "stdout", str(n)) for n in (1, 2, 3)])
    assert [one.line.text for one in logs(SHOP, None, w.s, tail=tail)] == texts


def test_lines_are_read_as_they_are_taken(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.upgraded("v1", "v2")
    read = [0]

    def long(_container: str, **_more: object) -> Iterator[LogLine]:
        for number in range(100_000):
            read[0] += 1
            yield LogLine(f"2026-01-01T00:00:00.{number:09d}Z", "stdout", str(number))

    monkeypatch.setattr(w.engine, "logs", long)
    found = logs(SHOP, None, w.s, tail=None)
    assert [next(found).line.text for _ in range(4)] == ["0", "0", "1", "1"]
    assert read[0] < 10


# -- as files ---------------------------------------------------------------------------------------------------------
def line(number: int, text: str = "x") -> LogLine:
    return LogLine(f"2026-01-01T00:00:00.{number:03d}Z", "stdout", text)


def test_what_is_kept_comes_back_and_is_its_owners_only(tmp_path: Path) -> None:
    files = LogFiles(tmp_path / "logs")
    some = [line(1, "a  b "), LogLine("2026-01-01T00:00:01.000Z", "stderr", "")]
    files.keep(SHOP, InstanceId(3), some)
    files.keep(SHOP, InstanceId(3), [line(2)])
    assert files.find(SHOP, InstanceId(3)) == [*some, line(2)]
    assert files.releases(SHOP) == [3]
    path = tmp_path / "logs" / "shop" / "3.log"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    files.forget(SHOP)
    assert (files.find(SHOP, InstanceId(3)), files.releases(SHOP)) == ([], [])


def test_kept_logs_are_bounded_in_size_and_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_logs, "MAX_LOG_CHARACTERS", 200)
    monkeypatch.setattr(kept_logs, "MAX_KEPT_LOGS", 2)
    files = LogFiles(tmp_path / "logs")
    files.keep(SHOP, InstanceId(1), [line(n, "y" * 50) for n in range(5)])
    assert files.find(SHOP, InstanceId(1)) == [line(3, "y" * 50), line(4, "y" * 50)]
    for number in (2, 3):
        files.keep(SHOP, InstanceId(number), [line(number)])
    assert files.releases(SHOP) == [2, 3]


def test_a_folder_that_cannot_be_written_hinders_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("in the way")
    files = LogFiles(tmp_path / "logs")
    files.keep(SHOP, InstanceId(1), [line(1)])
    assert files.find(SHOP, InstanceId(1)) == []
