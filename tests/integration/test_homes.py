"""A test home leaves nothing: not in Docker, not among the routes, no process, no folder."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import docker
import pytest

from tests import homes, machine, support


@contextmanager
def empty_image(api: docker.APIClient) -> Iterator[str]:
    """An image with no file in it: good for containers that never start."""
    name, tar = f"{support.IMAGES}empty-{token_hex(4)}", io.BytesIO()
    tarfile.open(fileobj=tar, mode="w").close()
    api.import_image_from_data(tar.getvalue(), repository=name, tag="v1")
    try:
        yield f"{name}:v1"
    finally:
        support.remove_image(api, f"{name}:v1")


@pytest.fixture
def api(engine_url: str) -> Iterator[docker.APIClient]:
    with support.engine(engine_url) as client:
        yield client


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run it; its command line can be read in /proc only a moment after the start."""
    process = subprocess.Popen(command)
    try:
        while not Path(f"/proc/{process.pid}/cmdline").read_text():
            time.sleep(0.005)
        yield process
    finally:
        process.kill()
        process.wait()


def pool(home: Path) -> str:
    return str(tomllib.loads((home / "config/server.toml").read_text())["network"]["pool"])


def litter(api: docker.APIClient, home: Path, image: str) -> None:
    """Make what a deployment makes: network, container, keep tag and guard route."""
    (home / "state/secret").write_text(f"{'0' * 64}\n{hashlib.sha256(str(home).encode()).hexdigest()[:16]}\n")
    labels = {"deployctl.managed": "1", "deployctl.home": str(home)}
    subnet = pool(home).replace("/20", "/26")
    ipam = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)])
    api.create_network(f"dctl-test-{home.name}", labels=labels, ipam=ipam)
    api.create_container(image, command="never-started", labels=labels, name=f"dctl-test-{home.name}")
    api.tag(image, "deployctl/shop", tag=f"r1-{support.home_mark(home)}")
    if machine.may_route():
        machine.add_guard(subnet)


def leftovers(api: docker.APIClient, home: Path) -> list[str]:
    wanted = {"label": f"deployctl.home={home}"}
    tags = [tag for tag in support.image_tags(api) if tag.endswith(support.home_mark(home))]
    objects = [*api.containers(all=True, filters=wanted), *api.networks(filters=wanted)]
    return [str(found["Id"]) for found in objects] + tags


def test_a_home_takes_everything_of_its_own_with_it(api: docker.APIClient, engine_url: str) -> None:
    with empty_image(api) as image, homes.temporary_home(engine_url) as other:
        strangers = machine.unreachable() - machine.unreachable(inside=pool(other))  # of whatever else lives here
        litter(api, other, image)
        with homes.temporary_home(engine_url) as home:
            strangers -= machine.unreachable(inside=pool(home))  # what an earlier home of this slot has left goes, too
            litter(api, home, image)
            assert len(leftovers(api, home)) == 3
        assert leftovers(api, home) == []
        assert not home.exists()
        assert len(leftovers(api, other)) == 3, "the neighbour's things were taken, too"
        homes.take_apart(other, pool(other), engine_url)
        assert machine.unreachable() == strangers


def test_a_home_ends_its_haproxy_and_no_other_process(engine_url: str) -> None:
    with homes.temporary_home(engine_url) as home:
        (home / "state/haproxy").mkdir()
        with running("tail", "-f", "/dev/null") as stranger, running("tail", "-f", f"{home}/config/server.toml") as own:
            for process in (stranger, own):
                (home / "state/haproxy/haproxy.pid").write_text(f"{process.pid}\n")
                homes.end_haproxy(home)
            assert own.wait(timeout=5) != 0
            assert stranger.poll() is None


def test_two_homes_share_neither_pool_nor_ports(engine_url: str) -> None:
    with homes.temporary_home(engine_url) as one, homes.temporary_home(engine_url) as two:
        first, second = (tomllib.loads((home / "config/server.toml").read_text()) for home in (one, two))
        assert first["network"]["pool"] != second["network"]["pool"]
        assert first["ports"]["range"] != second["ports"]["range"]


KILLED_RUN = """
import os
from tests import homes, support
with homes.temporary_home(support.engine_address()) as home:
    print(home, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_run_left_is_taken_apart_by_the_next(api: docker.APIClient, engine_url: str) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED_RUN], capture_output=True, text=True, check=False)
    home = Path(killed.stdout.strip())
    assert home.is_dir()
    with empty_image(api) as image:
        litter(api, home, image)
        homes.take_apart_left_behind(engine_url)
        assert leftovers(api, home) == []
    assert not home.exists()
