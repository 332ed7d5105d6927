"""A preset fills in what a component's file leaves out: what is written beside it wins."""

from __future__ import annotations

from typing import Any

import pytest

from deployctl.config.app import AppSpec, parse_app_spec
from deployctl.domain.images.presets import PRESETS
from deployctl.domain.images.release import Bundle, ProbeKind
from deployctl.errors import Invalid


def spec(**table: Any) -> AppSpec:
    return parse_app_spec({"image": "acme/shop", "port": 8080, "listen": 8000,
                           "components": {"db": {"image": "postgres:17.2", "port": 5432, **table}}}, where="config/shop.toml")


def bundle(**table: Any) -> Bundle:
    return spec(**table).templates()[1].bundle


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_is_a_valid_component_with_its_own_check_and_enough_time(preset: str) -> None:
    told = bundle(preset=preset)
    assert told.stop_signal in {"SIGTERM", "SIGINT"}
    assert told.stop_grace >= 60
    assert told.probe.kind is ProbeKind.EXEC
    assert told.probe.command
    assert spec(preset=preset).warnings() == []


def test_postgres_is_stopped_fast_and_has_shared_memory() -> None:
    told = bundle(preset="postgres")
    assert (told.stop_signal, told.stop_grace, told.shm_size) == ("SIGINT", 90.0, 256 * 2**20)


def test_what_the_file_says_wins() -> None:
    told = bundle(preset="postgres", stop_signal="SIGTERM", stop_grace="5m", shm_size="1g",
                  health={"kind": "tcp", "interval": "7s"})
    assert (told.stop_signal, told.stop_grace, told.shm_size) == ("SIGTERM", 300.0, 2**30)
    assert (told.probe.kind, told.probe.command, told.probe.interval) == (ProbeKind.TCP, None, 7.0)


def test_a_part_of_a_table_leaves_the_rest_to_the_preset() -> None:
    told = bundle(preset="rabbitmq", env={"RABBITMQ_DEFAULT_USER": "shop"}, health={"interval": "30s"})
    assert dict(told.env) == {"RABBITMQ_DEFAULT_USER": "shop", "RABBITMQ_NODENAME": "rabbit@localhost"}
    assert (told.probe.interval, told.probe.timeout, told.probe.kind) == (30.0, 15.0, ProbeKind.EXEC)


def test_a_shorter_grace_is_warned_about() -> None:
    warned = spec(preset="redis", stop_grace="10s").warnings()
    assert len(warned) == 1
    assert warned[0].startswith('components.db.stop_grace = "10s" is shorter than the 60 s that redis may need')


def test_without_a_preset_nothing_is_filled_in() -> None:
    told = bundle()
    assert (told.stop_signal, told.stop_grace, told.shm_size) == (None, 10.0, 0)
    assert "shm_size" not in told.canonical()


@pytest.mark.parametrize("table", [{"preset": "oracle"}, {"preset": 3}, {"preset": "redis", "env": 3},
                                   {"preset": "redis", "health": {"kind": "exec"}}])
def test_mistakes_are_told_as_ever(table: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        spec(**table)


def test_the_main_component_may_have_one_too() -> None:
    told = parse_app_spec({"image": "mongo", "port": 27017, "listen": 8000, "preset": "mongodb", "stop_grace": "5s"}, where="x")
    assert told.templates()[0].bundle.probe.kind is ProbeKind.EXEC
    assert told.warnings()[0].startswith("stop_grace")
