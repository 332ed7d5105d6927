"""What the demo leaves running is ended by `--stop`, and no other process is, whatever its number."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.demo import background

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); "
        "time.sleep(60)"]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    background.end_all(tmp_path)


def pid_of(home: Path, name: str) -> int:
    return int(json.loads((home / f"{name}.process").read_text())["pid"])


def test_what_was_started_runs_on_its_own_until_all_are_ended(home: Path) -> None:
    for name in ("serve", "visitors"):
        background.start(name, SLEEP, home)
        assert background.runs(name, home)
        assert os.getsid(pid_of(home, name)) != os.getsid(0)
    assert background.end_all(home) == ["serve", "visitors"]
    assert not background.runs("serve", home)
    assert list(home.glob("*.process")) == []
    assert background.end_all(home) == []


def test_one_that_does_not_listen_is_killed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "STOP_WAIT_SECONDS", 0.3)
    background.start("deaf", DEAF, home)
    until = time.monotonic() + 10
    while "deaf" not in (home / "deaf.log").read_text():
        assert time.monotonic() < until
        time.sleep(0.02)
    assert background.end_all(home) == ["deaf"]
    assert not background.runs("deaf", home)


@pytest.mark.parametrize("change", [{"mark": "another boot 1"}, {"mark": ""}, {"mark": None}, {"pid": "x"},
                                    {"pid": -1}, {"pid": 1}])
def test_a_number_that_is_somebody_elses_by_now_is_left_alone(home: Path, change: dict[str, object]) -> None:
    with subprocess.Popen(SLEEP) as stranger:
        try:
            note = {"pid": stranger.pid, "mark": background._mark(stranger.pid), **change}
            (home / "serve.process").write_text(json.dumps(note))
            assert background.end_all(home) == []
            assert stranger.poll() is None
            assert list(home.glob("*.process")) == []
        finally:
            stranger.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", '{"pid": 1e99}'])
def test_a_note_that_was_cut_short_harms_nobody(home: Path, text: str) -> None:
    (home / "serve.process").write_text(text)
    assert background.end_all(home) == []


def test_a_process_has_one_mark_for_all_its_life_and_none_afterwards() -> None:
    with subprocess.Popen(SLEEP) as process:
        assert background._mark(process.pid) == background._mark(process.pid) != background._mark(os.getpid())
        process.kill()
        process.wait()
        assert background._mark(process.pid) == ""
