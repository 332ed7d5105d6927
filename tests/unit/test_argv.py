"""The words of a container's process: what the file leaves out is the image's, and Docker's habits change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.images.argv import Argv, complete, gains_command, runs_nothing
from deployctl.domain.images.release import Bundle
from deployctl.errors import Invalid
from deployctl.usecases.change.upgrade import preview_upgrade
from tests.unit.world import SHOP, V1, World, runnable, world

ENTRY, SERVE, OWN, NONE = ("/wrap",), ("serve",), ("other",), ()
IMAGE = Argv(("/entry",), SERVE)


@pytest.mark.parametrize(("file", "image", "asked"), [
    (Argv(None, None), IMAGE, Argv(None, None)),  # all is left to the image
    (Argv(ENTRY, None), IMAGE, Argv(ENTRY, SERVE)),  # Docker would drop the image's CMD
    (Argv(ENTRY, None), Argv(NONE, NONE), Argv(ENTRY, None)),
    (Argv(ENTRY, NONE), IMAGE, Argv(ENTRY, None)),  # as 0.1.0 wrote an entrypoint without a command
    (Argv(ENTRY, OWN), IMAGE, Argv(ENTRY, OWN)),
    (Argv(None, OWN), IMAGE, Argv(None, OWN)),
    (Argv(None, NONE), IMAGE, Argv(("/entry",), None)),  # Docker clears a CMD only beside an entrypoint
])
def test_a_key_that_is_left_out_means_the_images_words(file: Argv, image: Argv, asked: Argv) -> None:
    assert complete(file, image) == asked


@pytest.mark.parametrize(("file", "image", "nothing"), [
    (Argv(None, None), Argv(NONE, NONE), True),
    (Argv(None, None), Argv(NONE, SERVE), False),
    (Argv(None, NONE), Argv(NONE, SERVE), True),
    (Argv(None, NONE), IMAGE, False),
    (Argv(ENTRY, NONE), Argv(NONE, NONE), False),
])
def test_nothing_to_run_is_known_beforehand(file: Argv, image: Argv, nothing: bool) -> None:
    assert runs_nothing(file, image) is nothing


def test_only_a_release_with_the_same_entrypoint_and_no_command_gains_one() -> None:
    assert gains_command(Argv(ENTRY, None), IMAGE, Argv(ENTRY, None))
    assert not gains_command(Argv(ENTRY, None), IMAGE, Argv(ENTRY, SERVE))
    assert not gains_command(Argv(ENTRY, None), IMAGE, Argv(None, None))
    assert not gains_command(Argv(ENTRY, NONE), IMAGE, Argv(ENTRY, None))
    assert not gains_command(Argv(ENTRY, None), Argv(NONE, NONE), Argv(ENTRY, None))


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def made_by_former(w: World) -> Bundle:
    """Let v1 serve with an entrypoint and, as 0.1.0 did it, without the image's CMD."""
    w.edit(entrypoint=list(ENTRY), command=[])
    w.upgraded("v1")
    del w.files[SHOP]["command"]
    return w.release("v1").bundle


def test_an_entrypoint_keeps_the_images_command_in_the_bundle(w: World) -> None:
    w.edit(entrypoint=list(ENTRY))
    w.upgraded("v1")
    bundle = w.release("v1").bundle
    assert (bundle.entrypoint, bundle.command) == (ENTRY, SERVE)


def test_a_release_of_0_1_0_with_an_entrypoint_alone_is_told_the_line_that_keeps_what_runs(w: World) -> None:
    bundle = made_by_former(w)
    assert bundle.command is None
    [told] = [line for line in preview_upgrade(SHOP, V1, w.s).warnings if "command = []" in line]
    assert '["serve"]' in told
    w.edit(command=[])
    assert not w.upgrade("v1").changed
    assert w.release("v1").bundle.hash() == bundle.hash()
    del w.files[SHOP]["command"]
    moved = w.upgrade("v1")
    assert moved.changed
    assert told in moved.warnings
    assert w.release("v1").bundle == replace(bundle, command=SERVE)
    assert not w.upgrade("v1").changed


def test_an_empty_command_leaves_the_images_entrypoint_alone(w: World) -> None:
    image = replace(runnable("with an entrypoint"), entrypoint=("/entry",))
    w.engine.images.add("acme/shop:v20", image=image)
    w.edit(command=[])
    w.upgraded("v20")
    assert (w.release("v20").bundle.entrypoint, w.release("v20").bundle.command) == (("/entry",), None)


def test_an_empty_command_of_an_image_without_entrypoint_is_refused(w: World) -> None:
    w.edit(command=[])
    with pytest.raises(Invalid, match="has no command"):
        w.upgrade("v1")
