"""The instances that `status` asks side by side: every answer comes back, or the reason why one does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployctl.testing.fake_prober import AskedProbe, FakeProber, Reply
from deployctl.usecases.view.status import status
from tests.unit.world import world


class BugInProbe(Exception):
    """What no use case expects."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_bug_in_any_of_the_threads_is_raised_and_no_answer_is_left_out(tmp_path: Path, broken: int) -> None:
    asked: list[AskedProbe] = []

    def answer(probe: AskedProbe) -> Reply:
        asked.append(probe)
        if len(asked) == broken + 1:
            raise BugInProbe
        return 200

    with world(tmp_path) as w:
        w.edit(keep_warm=2)
        w.upgraded("v1", "v2", "v3")
        w.prober = FakeProber(answer)
        with pytest.raises((BugInProbe, RuntimeError)):  # asked by this thread, or by another one
            status(w.s)
        assert len(asked) >= broken + 1
        (view,) = status(w.s).apps
        assert [one.health for one in view.instances] == ["passing"] * 3
