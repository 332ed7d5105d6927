"""Where the engine is: the environment may name a socket of this host, another machine only server.toml."""

from __future__ import annotations

import pytest

from deployctl.domain.host.server import ServerSpec
from deployctl.effects.docker.client import DEFAULT_SOCKET, engine_address, socket_path
from deployctl.errors import Invalid


def test_without_any_word_it_is_the_usual_socket() -> None:
    assert engine_address(ServerSpec(), {}) == engine_address(ServerSpec(), {"DOCKER_HOST": ""}) == DEFAULT_SOCKET


def test_a_socket_in_the_environment_is_followed() -> None:
    assert engine_address(ServerSpec(), {"DOCKER_HOST": "unix:///run/x.sock"}) == "unix:///run/x.sock"


@pytest.mark.parametrize("named", ["tcp://10.0.0.5:2375", "ssh://root@host", "unix://relative", "fd://", "\x1b[31m"])
def test_another_machine_in_the_environment_is_refused_and_the_right_place_named(named: str) -> None:
    with pytest.raises(Invalid) as caught:
        engine_address(ServerSpec(), {"DOCKER_HOST": named})
    assert any("engine.url" in line and "config/server.toml" in line for line in caught.value.remedy)
    assert "\x1b" not in caught.value.message + "".join(caught.value.remedy)


@pytest.mark.parametrize("url", ["tcp://10.0.0.5:2375", "ssh://root@host", "unix:///run/x.sock"])
def test_the_servers_file_wins_over_the_environment(url: str) -> None:
    assert engine_address(ServerSpec(engine_url=url), {"DOCKER_HOST": "tcp://elsewhere:1"}) == url


@pytest.mark.parametrize("url", ["10.0.0.5:2375", "unix://relative", "npipe:////./pipe/x", "tcp://a b", "tcp://a\n"])
def test_an_address_of_no_known_kind_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="engine"):
        engine_address(ServerSpec(engine_url=url), {})


def test_only_a_unix_address_has_a_path() -> None:
    assert socket_path("unix:///run/x.sock") == "/run/x.sock"
    assert socket_path("tcp://10.0.0.5:2375") is None
