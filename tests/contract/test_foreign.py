"""What is promised of containers that deployctl did not create. The real engine and the fake keep it alike."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import pytest
from docker.errors import APIError

from deployctl.domain.host.server import ServerSpec
from deployctl.effects.compose.containers import PROJECT, SERVICE, DockerForeigners
from deployctl.effects.docker.client import DockerClient
from deployctl.errors import NotFound
from deployctl.ports.foreign import ForeignContainer, ForeignContainers
from deployctl.testing.compose.fake_foreign import FakeForeigners
from tests import support
from tests.images import ensure_image


@dataclass
class There:
    """A project of two containers, one with a volume and running, and a container of another project."""

    foreign: ForeignContainers
    project: str
    volume: str


def fake() -> Iterator[There]:
    mark = secrets.token_hex(4)
    running = ForeignContainer("1", f"{mark}-db", f"p{mark}", "db", "web", True, "on-failure", 3, (f"v{mark}",))
    idle = ForeignContainer("2", f"{mark}-web", f"p{mark}", "web", "web", False, "always")
    other = ForeignContainer("3", "x", "other", "x", "web", True, "no")
    yield There(FakeForeigners(running, idle, other), f"p{mark}", f"v{mark}")


def real(url: str) -> Iterator[There]:
    mark, image = secrets.token_hex(4), ensure_image("web", "v1", base_url=url)
    made: list[str] = []
    wanted: tuple[tuple[str, str, Mapping[str, str | int], list[str]], ...] = (
        ("db", f"p{mark}", {"Name": "on-failure", "MaximumRetryCount": 3}, [f"v{mark}:/d"]),
        ("web", f"p{mark}", {"Name": "always"}, []), ("x", f"o{mark}", {"Name": "no"}, []))
    with support.engine(url) as api:
        try:
            for name, project, policy, volumes in wanted:
                host = api.create_host_config(restart_policy=policy, binds=volumes, network_mode="none")
                made.append(api.create_container(image, host_config=host, name=f"{mark}-{name}",
                                                 labels={PROJECT: project, SERVICE: name})["Id"])
            api.start(made[0])
            yield There(DockerForeigners(DockerClient(ServerSpec(engine_url=url), {})), f"p{mark}", f"v{mark}")
        finally:
            for container in made:
                with suppress(APIError):
                    api.remove_container(container, force=True)
            with suppress(APIError):
                api.remove_volume(f"v{mark}")


@pytest.fixture(params=["fake", "docker"])
def there(request: pytest.FixtureRequest) -> Iterator[There]:
    yield from fake() if request.param == "fake" else real(request.getfixturevalue("engine_url"))


def test_a_project_is_listed_with_what_stopping_it_would_change(there: There) -> None:
    db, web = there.foreign.of_project(there.project)
    assert (db.compose_service, db.running, db.restart, db.retries) == ("db", True, "on-failure", 3)
    assert db.volumes == (there.volume,)
    assert (web.compose_service, web.running, web.restart) == ("web", False, "always")
    assert there.foreign.of_project("no-such-project") == []


def test_who_uses_a_volume_is_told_while_it_runs(there: There) -> None:
    (db,) = there.foreign.users_of(there.volume)
    there.foreign.ensure_stopped(db)
    assert there.foreign.users_of(there.volume) == []


def test_stopped_and_started_again_it_is_as_before(there: There) -> None:
    before = there.foreign.of_project(there.project)
    db = before[0]
    there.foreign.set_restart(db, "no")
    there.foreign.ensure_stopped(db)
    there.foreign.ensure_stopped(db)
    seen = there.foreign.of_project(there.project)[0]
    assert (seen.running, seen.restart) == (False, "no")
    there.foreign.set_restart(db, db.restart, db.retries)
    there.foreign.ensure_started(db)
    assert there.foreign.of_project(there.project) == before


def test_one_that_is_gone_needs_no_stop_and_cannot_be_started(there: There) -> None:
    gone = ForeignContainer("0" * 64, "gone", there.project, "x", "web", True, "always")
    there.foreign.set_restart(gone, "no")
    there.foreign.ensure_stopped(gone)
    with pytest.raises(NotFound):
        there.foreign.ensure_started(gone)
