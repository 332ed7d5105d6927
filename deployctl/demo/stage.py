"""Sets the demo up in a home of its own, and removes it again: by label, so that a lost ledger does no harm."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from deployctl.bootstrap import find_identity
from deployctl.config.settings import Settings
from deployctl.demo import background
from deployctl.demo.load_image import load_images, unload_images
from deployctl.demo.webapp_image import webapp_image
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.proxy.traffic import TrafficTable
from deployctl.effects.docker.engine import DockerEngine
from deployctl.effects.haproxy.switch import HaproxyTraffic
from deployctl.effects.linux.guard import LinuxGuard
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.errors import DeployctlError, EngineUnavailable
from deployctl.execution.labels import kept_name

APP_NAME = "demo"
DEMO_IMAGE = "deployctl-demo/web"
VERSIONS = {"v1": ("blue", ""), "v2": ("teal", "1/12"), "v3": ("teal", "")}  # version → colour, defect
FIRST_PORT, LAST_PORT = 8900, 8999
SERVER = """\
# The demo's own server file; everything it creates has this label.
[engine]
labels = {{ "deployctl.demo" = "1" }}
[web]
listen = {port}
"""
APP_FILE = """\
image = "{image}"
port = 8080
listen = {port}
[health]
path = "/healthz"
[resources]
memory = "128m"
"""


def engine(settings: Settings) -> DockerEngine:
    return DockerEngine(find_identity(settings), ServerSpec(), os.environ)


def load_versions(settings: Settings) -> list[str]:
    """Load the three versions, built from the running Python, into the engine and return their image ids."""
    cache = settings.home / "cache"
    images = [
        webapp_image(f"{DEMO_IMAGE}:{version}", version=version, color=colour, fault=fault, cache=cache)
        for version, (colour, fault) in VERSIONS.items()
    ]
    return load_images(engine(settings).address, *images)


def write_files(settings: Settings) -> tuple[int, int]:
    """Write the demo's server and app file, and return the free ports for dashboard and public address."""
    web, app = _free_ports()
    settings.config_dir.mkdir(parents=True, exist_ok=True)
    settings.server_file.write_text(SERVER.format(port=web))
    settings.app_file(APP_NAME).write_text(APP_FILE.format(image=DEMO_IMAGE, port=app))
    return web, app


def _free_ports() -> tuple[int, int]:
    """Return the first two of the demo's own range, else any two."""
    guard = LinuxGuard()
    usual = [port for port in range(FIRST_PORT, LAST_PORT + 1) if not guard.port_taken("127.0.0.1", port)][:2]
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        web, app = [*usual, *(int(probe.getsockname()[1]) for probe in (one, other))][:2]
    return web, app


def take_apart(settings: Settings) -> list[str]:
    """Remove every container, network, route, image and process of the demo, and its home. Return what was removed."""
    removed = [f"process {name}" for name in background.end_all(settings.home)]  # first: a watcher would repair the rest
    removed += _engine_objects(settings)
    traffic = HaproxyTraffic(settings.haproxy_dir, ServerSpec(), TrafficTable, SystemClock())
    if settings.haproxy_dir.is_dir() and traffic.pid() is not None:
        traffic.stop()
        removed.append("HAProxy")
    if settings.home.is_dir():
        shutil.rmtree(settings.home)
        removed.append(str(settings.home))
    return removed


def _engine_objects(settings: Settings) -> list[str]:
    home, docker, guard, removed = find_identity(settings), engine(settings), LinuxGuard(), []
    try:
        for seen in docker.containers():
            docker.ensure_removed(seen.id)
            removed.append(f"container {seen.name}")
        for network in docker.networks():
            if home.owns(network.labels):
                docker.ensure_network_gone(network.name)
                for subnet in network.subnets:
                    _unguard(guard, subnet)
                removed.append(f"network {network.name}")
        kept = [tag for tag in docker.kept_tags() if kept_name(home, tag)]
        removed += unload_images(docker.address, *(f"{DEMO_IMAGE}:{version}" for version in VERSIONS), *kept)
    except EngineUnavailable as e:
        raise DeployctlError(f"could not remove the demo's containers: {e.message}", remedy=e.remedy) from e
    return removed


def _unguard(guard: LinuxGuard, subnet: str) -> None:
    if os.geteuid() == 0:
        guard.ensure_gone(subnet)


def running_home(folder: Path) -> bool:
    """Return whether a demo was set up in that folder."""
    return (folder / "config" / "server.toml").is_file()


def engine_version() -> str:
    """Return the version of the engine that the demo and the benchmarks run on."""
    return DockerEngine("/", ServerSpec(), os.environ).info().version
