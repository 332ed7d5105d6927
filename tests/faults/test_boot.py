"""A reboot of a server whose containers have secrets: what lies in memory is gone, and one step before Docker lays it again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli import Ran, command, wait_until
from tests.faults.beside import needs_engine
from tests.faults.second_engine import NAMESPACES, SecondEngine, second_engine
from tests.faults.town import Town, town_of
from tests.images import ensure_images

CANARY = "canary-boot-20c4"


def run_boot(town: Town, engine: SecondEngine) -> dict[str, Any]:
    """Run it where the engine sees what it mounts, as its unit does."""
    return _ran([*engine._outside(), *command(town.home, "-o", "json", "boot")]).told


def run(town: Town, engine: SecondEngine, *words: str, said: str = "") -> Ran:
    """Run a command that sees the engine's mounts and bridges, and whose own mounts the engine does not see: like `serve`
    in its unit."""
    inside = 'mount -t sysfs sysfs /sys && exec "$@"'
    place = [*engine._outside(), f"--net={NAMESPACES / engine.name}", "unshare", "-m", "sh", "-c", inside, "sh"]
    return _ran([*place, *command(town.home, "-o", "json", *words)], said)


def _ran(words: list[str], said: str = "") -> Ran:
    done = subprocess.run(words, input=said, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return Ran(tuple(words), done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def vault() -> Iterator[tuple[Town, SecondEngine]]:
    """vault: v2 serves, v1 is its warm standby, and both have a secret."""
    with second_engine(live_restore=False) as engine, engine.inside():
        ensure_images(("telltale", "v1"), ("telltale", "v2"), base_url=engine.url)
        with town_of(engine.url) as town:
            town.write("vault", image="dctl-test/telltale", secrets=[{"name": "TOKEN", "env": "TOKEN"}])
            run(town, engine, "secret", "set", "vault", "TOKEN", said=CANARY)
            run_boot(town, engine)
            for version in ("v1", "v2"):
                run(town, engine, "upgrade", "vault", version)
            yield town, engine


def states(town: Town) -> set[str]:
    return {one["State"] for one in town.containers("vault")}


def memory(town: Town) -> Path:
    mounts = town.api.inspect_container(town.containers("vault")[0]["Id"])["Mounts"]
    return next(Path(one["Source"]) for one in mounts if one["Destination"] == "/run/secrets").parent.parent


def outside(engine: SecondEngine, *words: str) -> str:
    return subprocess.run([*engine._outside(), *words], check=True, capture_output=True, text=True).stdout


@needs_engine
def test_after_boot_everything_serves_once_docker_starts(vault: tuple[Town, SecondEngine]) -> None:
    town, engine = vault
    place = memory(town)
    engine.stop()
    outside(engine, "umount", "-l", str(place))
    assert outside(engine, "ls", "-A", str(place)) == "", "memory is gone"
    assert "2 secrets of 2 containers" in run_boot(town, engine)["summary"]
    assert outside(engine, "findmnt", "-n", "-o", "FSTYPE", str(place)).strip() == "tmpfs"
    engine.start()
    wait_until(lambda: states(town) == {"running"}, within=60, what="containers that come back by themselves")
    wait_until(lambda: town.get("vault").status == 200, within=60, what="the app")
    assert "TOKEN" in json.loads(town.get("vault", "/secrets").body)["files"]


@needs_engine
def test_without_boot_one_command_mends_it(vault: tuple[Town, SecondEngine]) -> None:
    town, engine = vault
    place = memory(town)
    engine.stop()
    outside(engine, "rm", "-rf", str(place / "vault"))
    engine.start()
    assert states(town) == {"exited"}, "Docker starts no container whose folder is missing"
    run(town, engine, "reconcile")
    wait_until(lambda: states(town) == {"running"} and town.get("vault").status == 200, within=60, what="the app")
    assert "TOKEN" in json.loads(town.get("vault", "/secrets").body)["files"]
