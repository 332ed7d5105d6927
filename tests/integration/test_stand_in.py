"""What refuses connections while no container has the address, on a bridge of this very host. It leaves nothing behind,
whatever ends the process that made it."""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployctl.domain.host.networks import AppNetwork, mac_of
from deployctl.effects.linux.exclusion import LinuxExclusion
from deployctl.effects.linux.neighbours import neighbours
from deployctl.ports.exclusion import StandInLack
from tests import machine, support
from tests.contract.engine_worlds import free_subnet

pytestmark = pytest.mark.skipif(sys.platform != "linux" or not machine.may_route(), reason="only root makes interfaces")


@pytest.fixture
def network(engine_url: str) -> Iterator[AppNetwork]:
    with support.engine(engine_url) as api:
        subnet = free_subnet(api)
    made = AppNetwork("none", f"dcb{secrets.token_hex(4)}", str(subnet), str(subnet[1]))
    for words in (f"link add {made.bridge} type bridge", f"addr add {made.gateway}/26 dev {made.bridge}",
                  f"link set {made.bridge} up"):
        subprocess.run(["ip", *words.split()], check=True, timeout=20)
    yield made
    subprocess.run(["ip", "link", "del", made.bridge], check=True, timeout=20)


@pytest.fixture
def address(network: AppNetwork) -> str:
    return network.gateway.rpartition(".")[0] + "." + str(int(network.gateway.rpartition(".")[2]) + 8)


def ports_of(network: AppNetwork) -> list[str]:
    """Return the interfaces that are connected to the bridge."""
    return [port.name for port in Path("/sys/class/net", network.bridge, "brif").iterdir()]


def is_refused(address: str) -> bool:
    """Return whether somebody answers there that nobody listens."""
    try:
        socket.create_connection((address, 5432), timeout=0.5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    raise AssertionError("somebody listens")


def until(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.01)


def test_it_answers_from_the_end_of_the_process_until_it_is_taken_away(network: AppNetwork, address: str,
                                                                       tmp_path: Path) -> None:
    exclusion = LinuxExclusion(tmp_path)
    assert exclusion.stand_in_lack(bridged=True) is None
    with (subprocess.Popen(["sleep", "600"]) as former,
          exclusion.stand_in(network, address, mac_of(address), after=former.pid) as made):
        assert len(ports_of(network)) == 1
        assert not is_refused(address)
        assert made.ended is None
        former.kill()
        until(lambda: is_refused(address), "a refusal")
        assert made.refused
        assert made.ended is not None
        assert neighbours()[network.bridge, address].mac == mac_of(address)
    assert ports_of(network) == []
    assert not is_refused(address)


def test_what_ends_before_the_process_never_answered(network: AppNetwork, address: str, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as former:
        with LinuxExclusion(tmp_path).stand_in(network, address, mac_of(address), after=former.pid) as made:
            pass
        former.kill()
    assert (made.ended, made.refused) == (None, False)
    assert ports_of(network) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_of_it_when_its_process_is_killed(network: AppNetwork, address: str, tmp_path: Path,
                                                          number: signal.Signals) -> None:
    program = f"""
import time
from deployctl.domain.host.networks import AppNetwork
from deployctl.effects.linux.exclusion import LinuxExclusion
from deployctl.paths import Path
network = AppNetwork({network.name!r}, {network.bridge!r}, {network.subnet!r}, {network.gateway!r})
with LinuxExclusion(Path({str(tmp_path)!r})).stand_in(network, {address!r}, {mac_of(address)!r}, after=0):
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program]) as controller:
        try:
            until(lambda: is_refused(address), "a refusal")
            assert len(ports_of(network)) == 1
        finally:
            controller.send_signal(number)
    until(lambda: ports_of(network) == [], "an empty bridge")
    assert not is_refused(address)


def test_without_root_it_is_said_that_there_is_none(tmp_path: Path) -> None:
    program = """
import os
import deployctl.ports.exclusion  # while the interpreter's own folder may still be read
from deployctl.effects.linux import neighbours, proc_net
from deployctl.effects.linux.exclusion import LinuxExclusion
from deployctl.paths import Path
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(LinuxExclusion(Path("/nowhere")).stand_in_lack(bridged=True))
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert told.stdout.strip() == StandInLack.NOT_PERMITTED
