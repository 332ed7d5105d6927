"""Two worlds for one suite: an engine in memory, and the real one with a home, a subnet and images of its own.

What apps do is chosen by the name of their image, as in tests/images.py; the fake is set up to behave alike.
"""

from __future__ import annotations

import io
import random
import secrets
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Protocol

import docker
from docker.errors import NotFound as DockerNotFound

from deployctl.domain.host.home import HomeIdentity
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.images.release import Bundle, Probe, Resources
from deployctl.domain.inputs.names import AppName, ComponentName
from deployctl.effects.docker.engine import DockerEngine
from deployctl.effects.http.prober import SocketProber
from deployctl.effects.linux.exclusion import LinuxExclusion
from deployctl.ports import (
    ContainerFacts,
    ContainerSpec,
    Engine,
    Exclusion,
    Executed,
    Launch,
    NetworkFacts,
    NetworkSpec,
    VolumeFacts,
    VolumeSpec,
)
from deployctl.testing.fake_clock import FakeClock
from deployctl.testing.fake_engine import Behaviour, FakeEngine
from deployctl.testing.fake_exclusion import FakeExclusion
from deployctl.testing.fake_volumes import FakeVolume
from tests import images, machine, support
from tests.contract.stub_registry import StubRegistry, stub_registry

BEHAVIOURS = {
    "exitone": Behaviour(exits=3, prints=("fatal: cannot read /etc/shop.conf: no such file",)),
    "noterm": Behaviour(deaf=True),
    "badentry": Behaviour(refused="the program /no/such/program does not exist in the image"),
}


class World(Protocol):
    """`mark` is in every name; `engine` is the one under test."""

    engine: Engine
    home: str
    mark: str
    subnet: IPv4Network
    registry: str  # host:port, where `publish` puts images
    exclusion: Exclusion

    def image(self, name: str) -> str:
        """Have an image of that behaviour here and return its id."""

    def port(self) -> int: ...
    def launch(self, component: str) -> Launch:
        """Return how the launcher starts a container of that component, once it has its lock."""

    def wait_ready(self, seen: ContainerFacts) -> None:
        """Return when the app inside answers."""

    def stranger(self, name: str, **labels: str) -> str:
        """Run a foreign container and return its id."""

    def strange_network(self, spec: NetworkSpec) -> None: ...
    def backend(self) -> str:
        """Make a network as people make one, and return its name; it sorts before ours."""

    def remove_backend(self) -> None: ...
    def cut_off(self, seen: ContainerFacts) -> None:
        """Take a running container off its network."""

    def has_files(self, volume: str) -> bool:
        """Return whether something is in it, without putting anything there."""

    def strange_volume(self) -> str:
        """Make a volume as people make one, and return its name."""

    def missing_path(self) -> str:
        """Return a path that the engine's server does not have."""

    def publish(self, reference: str) -> str:
        """Let an image be pulled by that name, and return its id."""

    def shut_registry(self) -> None: ...
    def moved(self) -> Engine:
        """Return the engine as the home has it after it was moved to another folder."""
    def away(self) -> Engine:
        """Return an engine that does not answer."""


class FakeWorld:
    def __init__(self, mark: str) -> None:
        self.mark, self.home, self.subnet = mark, f"/srv/{mark}", IPv4Network("172.29.0.0/26")
        self.registry = "127.0.0.1:5000"
        self.engine: Engine
        self.fake = self.engine = FakeEngine(self.home, clock=FakeClock())
        self.fake.executes = lambda container, command: Executed(int(command[-1]), "said\n")
        self.fake.files["/etc/passwd"] = b"root:x:0:0:root:/:\napp:x:4711:4712:app:/:\n"
        self._ports = iter(range(20000, 28000))
        self.exclusion: Exclusion = FakeExclusion(self.fake)

    def image(self, name: str) -> str:
        digest = self.fake.images.add(f"dctl-test/{name}:v1").digest
        self.fake.behaviours[digest] = BEHAVIOURS.get(name, Behaviour())
        return digest

    def port(self) -> int:
        return next(self._ports)

    def launch(self, component: str) -> Launch:
        return launch(self, component)

    def wait_ready(self, seen: ContainerFacts) -> None:
        """Nothing boots here."""

    def stranger(self, name: str, **labels: str) -> str:
        return self.fake.add_stranger(name, image=self.image("web"), labels=labels).id

    def strange_network(self, spec: NetworkSpec) -> None:
        self.fake.networks_here.facts[spec.name] = NetworkFacts(spec.name, (spec.subnet,), spec.labels, spec.bridge)

    def backend(self) -> str:
        name = f"a-{self.mark}"
        self.fake.networks_here.facts[name] = NetworkFacts(name, ("10.9.0.0/24",), {})
        return name

    def remove_backend(self) -> None:
        del self.fake.networks_here.facts[f"a-{self.mark}"]

    def cut_off(self, seen: ContainerFacts) -> None:
        self.fake.meddle(seen.id, addresses={})

    def has_files(self, volume: str) -> bool:
        return self.fake.volumes_here.here[volume].filled_from is not None

    def strange_volume(self) -> str:
        name = f"{self.mark}-theirs"
        self.fake.volumes_here.here[name] = FakeVolume(VolumeFacts(name, {}))
        return name

    def missing_path(self) -> str:
        self.fake.paths_missing.add("/no/such/path")
        return "/no/such/path"

    def publish(self, reference: str) -> str:
        image = self.fake.images.add(f"dctl-test/{self.mark}-published:v1")
        self.fake.images.drop(image.digest)
        self.fake.images.publish(reference, replace(image, tags=()))
        return image.digest

    def shut_registry(self) -> None:
        self.fake.images.registry_away = "connection refused"

    def moved(self) -> Engine:
        self.fake.home = HomeIdentity(f"{self.home}-moved", "5e" * 8, earlier=(self.home,))
        return self.fake

    def away(self) -> Engine:
        engine = FakeEngine(self.home)
        engine.away = "connection refused"
        return engine


class DockerWorld:
    """Everything it makes bears the label `deployctl.test`, and goes when the world does."""

    def __init__(self, mark: str, url: str, api: docker.APIClient, registry: StubRegistry) -> None:
        self.mark, self.home, self.subnet = mark, f"/srv/{mark}", free_subnet(api)
        self.url, self.api = url, api
        self.stub, self.registry = registry, registry.address
        self.spec = ServerSpec(engine_url=url, labels=(("deployctl.test", "1"), ("deployctl.mark", mark)))
        self.engine: Engine
        self.docker = self.engine = DockerEngine(self.home, self.spec, {}, sleep=lambda seconds: None)
        self.published: list[str] = []
        self.state = Path(tempfile.mkdtemp(prefix=mark))
        self.exclusion: Exclusion = LinuxExclusion(self.state)
        self.by_manifest = support.has_containerd_store(api)  # then the id of an image is its manifest's digest

    def image(self, name: str) -> str:
        inspect: Any = self.api.inspect_image  # has no types
        return str(inspect(images.ensure_image(name, base_url=self.url))["Id"])

    def port(self) -> int:
        return support.free_port()

    def launch(self, component: str) -> Launch:
        return launch(self, component)

    def wait_ready(self, seen: ContainerFacts) -> None:
        address, bridge = next(iter(seen.addresses.values())), network(self).bridge
        until = time.monotonic() + 20
        while not SocketProber().ask(Probe(path="/healthz"), address, 8080, host="shop", bridge=bridge).ok:
            assert time.monotonic() < until, f"{seen.name} does not answer"
            time.sleep(0.05)

    def stranger(self, name: str, **labels: str) -> str:
        made = self.api.create_container(self.image("web"), name=name, labels={"deployctl.mark": self.mark, **labels})
        self.api.start(made["Id"])
        return str(made["Id"])

    def strange_network(self, spec: NetworkSpec) -> None:
        pool = docker.types.IPAMPool(subnet=spec.subnet, gateway=spec.gateway)
        ipam = docker.types.IPAMConfig(pool_configs=[pool])
        self.api.create_network(spec.name, ipam=ipam, labels={"deployctl.mark": self.mark, **spec.labels})

    def backend(self) -> str:
        name = f"a-{self.mark}"
        self.api.create_network(name, labels={"deployctl.mark": self.mark})
        return name

    def remove_backend(self) -> None:
        self.api.remove_network(f"a-{self.mark}")

    def cut_off(self, seen: ContainerFacts) -> None:
        self.api.disconnect_container_from_network(seen.id, network(self).name)

    def has_files(self, volume: str) -> bool:
        mount = docker.types.Mount("/look", volume, no_copy=True)
        host = self.api.create_host_config(mounts=[mount])
        made = self.api.create_container(self.image("web"), host_config=host, labels={"deployctl.mark": self.mark})
        stream, _ = self.api.get_archive(made["Id"], "/look")
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as found:
            names = found.getnames()
        self.api.remove_container(made["Id"], v=True)
        return len(names) > 1  # the folder itself is one

    def strange_volume(self) -> str:
        return str(self.api.create_volume(f"{self.mark}-theirs", labels={"deployctl.mark": self.mark})["Name"])

    def missing_path(self) -> str:
        return f"/no/such/{self.mark}"

    def publish(self, reference: str) -> str:
        self.published.append(reference)
        name = reference.removeprefix(f"{self.registry}/")
        config = self.stub.publish(name)
        return self.stub.digest(name) if self.by_manifest else config

    def shut_registry(self) -> None:
        self.stub.close()

    def moved(self) -> Engine:
        self.docker.close()
        home = HomeIdentity(f"{self.home}-moved", "5e" * 8, earlier=(self.home,))
        self.engine = self.docker = DockerEngine(home, self.spec, {}, sleep=lambda seconds: None)
        return self.engine

    def away(self) -> Engine:
        nowhere = ServerSpec(engine_url="unix:///nonexistent/docker.sock")
        return DockerEngine(self.home, nowhere, {}, sleep=lambda seconds: None)

    def clean(self) -> None:
        self.docker.close()
        shutil.rmtree(self.state)
        support.remove_labelled(self.api, f"deployctl.mark={self.mark}")
        support.remove_labelled(self.api, f"deployctl.home={self.home}")
        ours = [tag for tag in support.image_tags(self.api) if self.mark in tag or tag.startswith(self.registry)]
        for tag in [*ours, *self.published]:
            with suppress(DockerNotFound):
                self.api.remove_image(tag, force=True)


def free_subnet(api: docker.APIClient) -> IPv4Network:
    """Return one inside the range that the test run made unreachable, should a bridge vanish."""
    taken = [IPv4Network(pool["Subnet"]) for network in api.networks() for pool in network["IPAM"]["Config"] or ()
             if "." in pool["Subnet"]]  # fmt: skip
    taken += [IPv4Network(route["dst"]) for route in machine.routes() if "/26" in route["dst"]]
    pool = list(IPv4Network("172.29.0.0/16").subnets(new_prefix=26))
    return next(subnet for subnet in random.sample(pool, len(pool)) if not any(subnet.overlaps(t) for t in taken))


@contextmanager
def fake_world() -> Iterator[FakeWorld]:
    yield FakeWorld(f"dctlt{secrets.token_hex(4)}")


@contextmanager
def docker_world(url: str) -> Iterator[DockerWorld]:
    with support.engine(url) as api, stub_registry() as registry:
        world = DockerWorld(f"dctlt{secrets.token_hex(4)}", url, api, registry)
        try:
            yield world
        finally:
            world.clean()


def launch(world: World, component: str) -> Launch:
    engine = world.engine.info()
    return Launch(world.exclusion.lay_launcher(engine.architecture, engine),
                  lock=world.exclusion.lay_lock(AppName("shop"), ComponentName(component)))


# -- what tests ask for ---------------------------------------------------------------------------------------------
def network(world: World) -> NetworkSpec:
    labels = {"deployctl.managed": "1", "deployctl.home": world.home, "deployctl.app": "shop"}
    return NetworkSpec(f"{world.mark}-net", f"dt-{world.mark[-8:]}", str(world.subnet), str(world.subnet[1]), labels)


def volume(world: World) -> VolumeSpec:
    return VolumeSpec(f"{world.mark}-data", {"deployctl.app": "shop", "deployctl.volume": "data"})


def container(world: World, image: str = "web", *, number: int = 1, **bundle: object) -> ContainerSpec:
    """Ask for release `number` with that image; other words change its bundle."""
    wanted = Bundle(image="dctl-test/web:v1", digest=world.image(image), port=8080, probe=Probe(path="/healthz"),
                    resources=Resources(memory=128 * 2**20, cpus=0.5, pids=64))  # fmt: skip
    for key, value in bundle.items():
        wanted = replace(wanted, **{key: value})  # type: ignore[arg-type]  # names of Bundle's fields, given by tests
    return ContainerSpec(
        name=f"{world.mark}--r{number}", bundle=wanted, network=network(world).name,
        address=str(world.subnet[10 + number]), publish=world.port(), hostname="shop",
        labels={"deployctl.app": "shop", "deployctl.version": f"v{number}", "deployctl.release": str(number),
                "deployctl.home": world.home, "deployctl.managed": "1"},
    )  # fmt: skip
