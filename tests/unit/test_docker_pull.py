"""A pull says how far it is now and then, and not more often."""

from __future__ import annotations

from typing import Any

from deployctl.effects.docker.pull import PullProgress


def lines(*events: dict[str, Any]) -> list[str]:
    progress = PullProgress()
    return [line for event in events if (line := progress.see(event)) is not None]


def downloading(layer: str, current: int) -> dict[str, Any]:
    return {"status": "Downloading", "id": layer, "progressDetail": {"current": current, "total": 99}}


def test_each_layer_is_counted_once_and_told_when_it_is_here() -> None:
    assert lines(
        {"status": "Pulling from acme/shop", "id": "v1"},
        {"status": "Pulling fs layer", "id": "a"},
        {"status": "Pulling fs layer", "id": "b"},
        {"status": "Already exists", "id": "a"},
        {"status": "Pull complete", "id": "b"},
        {"status": "Digest: sha256:0"},
        {"status": "Status: Downloaded newer image"},
    ) == ["0 of 1 layers", "0 of 2 layers", "1 of 2 layers", "2 of 2 layers"]


def test_megabytes_are_told_in_steps() -> None:
    told = lines(*(downloading("a", step * 10**6) for step in range(25)))
    assert told == ["0 of 1 layers", "0 of 1 layers, 10 MB", "0 of 1 layers, 20 MB"]


def test_an_event_without_details_is_no_trouble() -> None:
    assert lines({}, {"status": "Downloading", "id": "a", "progressDetail": None}) == ["0 of 1 layers"]
