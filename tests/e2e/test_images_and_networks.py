"""What runs is what its registry has, with the image's own command, and in the networks that its file names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from docker.errors import APIError

from deployctl.demo.python_layer import ENTRYPOINT
from tests import images, support
from tests.contract.stub_registry import stub_registry
from tests.e2e.cli import Cli


@pytest.fixture
def network(cli: Cli) -> Iterator[list[str]]:
    """Two networks of a person; the name of the first sorts before all of ours."""
    names = [f"a-{token_hex(4)}", f"z-{token_hex(4)}"]
    for name in names:
        cli.api.create_network(name, "bridge")
    yield names
    for name in names:
        for container in cli.containers():
            with suppress(APIError):
                cli.api.disconnect_container_from_network(container["Id"], name, force=True)
        cli.api.remove_network(name)


def networks(cli: Cli, app: str) -> dict[str, Any]:
    """Return the networks of what serves, by name."""
    return dict(cli.inspect(app, str(cli.active(app)))["NetworkSettings"]["Networks"])


def way_out(cli: Cli, app: str) -> str:
    """Return the gateway of the default route inside what serves."""
    pid = cli.inspect(app, str(cli.active(app)))["State"]["Pid"]
    routes = [line.split() for line in Path(f"/proc/{pid}/net/route").read_text().splitlines()[1:]]
    [gateway] = [words[2] for words in routes if words[1] == "00000000"]
    return ".".join(str(byte) for byte in bytes.fromhex(gateway)[::-1])


def test_a_tag_that_was_pushed_again_serves_and_a_registry_that_is_away_stops_nothing(cli: Cli) -> None:
    with stub_registry() as registry:
        name = f"acme/{token_hex(4)}"
        reference = f"{registry.address}/{name}:main"
        try:
            registry.offer(f"{name}:main", images.image("web", "v1"))
            cli.write("tag", image=f"{registry.address}/{name}")
            assert cli.do("upgrade", "tag", "main")["image"] is None
            registry.offer(f"{name}:main", images.image("web", "v2"))
            shown = cli.do("upgrade", "tag", "main", "--dry-run")
            assert shown["image"]["code"] == "tag_moved"
            assert cli.get("tag").version == "v1"
            moved = cli.do("upgrade", "tag", "main")
            assert moved["image"] == shown["image"]
            assert moved["image"]["to_digest"] == registry.digest(f"{name}:main")
            assert cli.get("tag").version == "v2"
            registry.close()
            before = cli.ledger(but=("leases", "events"))
            assert cli.do("upgrade", "tag", "main")["image"]["code"] == "unverified"
            assert cli.refused(7, "upgrade", "tag", "main", "--pull", "always").told["serving"]["version"] == "main"
            assert cli.ledger(but=("leases", "events")) == before
            cli.do("rollback", "tag")
            assert cli.get("tag").version == "v1"
        finally:
            cli.run("app", "remove", "tag", "-y")
            support.remove_image(cli.api, reference)


def test_an_entrypoint_alone_runs_the_images_command(cli: Cli) -> None:
    cli.serving("entry", entrypoint=[*ENTRYPOINT, "-X", "utf8"])
    inspect: Any = cli.api.inspect_image  # has no types
    made, own = cli.inspect("entry", "v1")["Config"], inspect("dctl-test/web:v1")["Config"]
    assert (made["Entrypoint"], made["Cmd"]) == ([*ENTRYPOINT, "-X", "utf8"], own["Cmd"])
    assert cli.get("entry").version == "v1"
    again = cli.do("upgrade", "entry", "v1", "--dry-run")
    assert again["steps"] == []


def test_an_app_joins_a_network_and_its_own_stays_the_way_out(cli: Cli, network: list[str]) -> None:
    backend, other = network
    cli.serving("net", networks=[backend])
    [own] = [name for name in networks(cli, "net") if name != backend]
    assert way_out(cli, "net") == networks(cli, "net")[own]["Gateway"]
    port = cli.app("net")["active"]["port"]
    assert cli.get("net", port=port).version == "v1", "its published port is its own network's"
    serving = cli.inspect("net", "v1")["Id"]
    cli.api.connect_container_to_network(serving, other)
    cli.api.disconnect_container_from_network(serving, backend)
    told = {one["code"]: one["summary"] for one in cli.app("net")["drifts"]}
    assert f'networks = ["{backend}", "{other}"]' in told["connected"]
    assert backend in told["disconnected"]
    assert cli.run("reconcile", "net").code == 4, "what was connected by hand is a person's to decide"
    assert set(networks(cli, "net")) == {own, backend, other}
    assert any("manually" in line for line in cli.do("upgrade", "net", "v2")["warnings"])
    assert set(networks(cli, "net")) == {own, backend}


def test_a_network_that_is_missing_refuses_the_upgrade_before_anything_is_made(cli: Cli) -> None:
    cli.serving("lone")
    cli.write("lone", networks=["nowhere-to-be-found"])
    before = cli.objects()
    refused = cli.refused(3, "upgrade", "lone", "v2")
    assert refused.told["error"]["code"] == "network_missing"
    assert cli.objects() == before
