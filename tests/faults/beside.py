"""A town on an engine of its own, which may be harmed, and the harms."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.faults.second_engine import SecondEngine, second_engine, why_not
from tests.faults.town import Town, two_apps
from tests.images import ensure_images

needs_engine = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
PATIENT = '[engine]\ntimeout = "2s"\n'
MOMENT = 1.0  # second


def make_impatient(town: Town) -> None:
    """Let it wait two seconds for an engine and no longer."""
    with (town.home / "config/server.toml").open("a") as server:
        server.write(PATIENT)


@contextmanager
def town_beside(*, live_restore: bool) -> Iterator[tuple[Town, SecondEngine]]:
    with second_engine(live_restore=live_restore) as engine, engine.inside():
        ensure_images(*(("web", version) for version in ("v1", "v2", "v3")), base_url=engine.url)
        with two_apps(engine.url, keep_stopped=1) as town:
            make_impatient(town)
            yield town, engine


@contextmanager
def restarted(engine: SecondEngine, town: Town) -> Iterator[None]:
    engine.stop()
    engine.start()
    yield


@contextmanager
def killed(engine: SecondEngine, town: Town) -> Iterator[None]:
    engine.kill()
    engine.start()
    yield


@contextmanager
def away(engine: SecondEngine, town: Town) -> Iterator[None]:
    """Gone until the verb has ended."""
    engine.kill()
    yield
    engine.start()


@contextmanager
def frozen(engine: SecondEngine, town: Town) -> Iterator[None]:
    with engine.frozen():
        yield


@contextmanager
def frozen_for_a_moment(engine: SecondEngine, town: Town) -> Iterator[None]:
    with engine.frozen():
        time.sleep(MOMENT)
    yield


Engineered = Callable[[SecondEngine, Town], AbstractContextManager[None]]
