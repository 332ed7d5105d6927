"""System checks of the engine: what it is, what it cannot do, and whether there is room where its images are stored."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator

from deployctl.errors import DeployctlError
from deployctl.paths import Path
from deployctl.ports import Lack
from deployctl.usecases.listings import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import EngineInfo, Services

LITTLE_SPACE = 2**30  # bytes; with less, an image of usual size does not fit
OWN_SOCKET = "/run/containerd/containerd.sock"  # of containerd as a service; one that Docker started has another
CONTAINERD_FILE = Path("/etc/containerd/config.toml")
CONTAINERD_ROOT = "/var/lib/containerd"
FORWARD = "sudo sysctl net.ipv4.ip_forward=1"


def engine(s: Services) -> Iterator[Finding]:
    info = s.engine.info()
    where = getattr(s.engine, "address", "")
    text = f"{info.product} {info.version}, API {info.api}, {info.architecture} {where}".strip()
    yield Finding("engine", ok=True, message=text)
    if where.startswith(("tcp://", "ssh://")):
        yield Finding("engine url", ok=True, message=f"remote engine {where}, from config/server.toml", fatal=False)
    if info.other_context:
        yield Finding("docker context", ok=False, fatal=False, code="other_context", fix="docker context use default",
                      message=f"the docker command uses another engine ({info.other_context}) and shows nothing of this home")
    yield from _lacks(info)
    yield _store(s)
    if info.local:
        yield from (_space(root) for root in image_folders(info) if root.exists())
    if info.local and info.forwarding is False:
        yield Finding("forwarding", ok=False, code="forwarding_off", fix=FORWARD,
                      message="this host does not forward IPv4 packets, so no container can be reached")


def _lacks(info: EngineInfo) -> Iterator[Finding]:
    name = f"{info.product} {info.version}"
    if Lack.UPDATE in info.lacks:
        yield Finding("engine", ok=False, code=Lack.UPDATE, fix="use Podman 5 or later, or Docker",
                      message=f"{name} cannot update existing containers, so nothing can be deployed with it")
    if Lack.HEALTHCHECKS in info.lacks:
        yield Finding("engine", ok=True, code=Lack.HEALTHCHECKS, fatal=False,
                      message=f'{name} runs no health checks without systemd: health.kind = "docker" is rejected')


def _store(s: Services) -> Finding:
    """Make a request that only the image store can answer: with containerd dead or hanging, everything else
    responds."""
    try:
        s.engine.require_store()
    except DeployctlError as e:
        return Finding("image store", ok=False, message=e.message, fix=next(iter(e.remedy), None), code=e.code)
    return Finding("image store", ok=True, message="answers")


def image_folders(info: EngineInfo) -> list[Path]:
    """Return where images and containers are stored: with containerd as a service, images are in a folder of its
    own."""
    own = [containerd_root(CONTAINERD_FILE)] if info.containerd.replace("/var/run/", "/run/") == OWN_SOCKET else []
    return [*own, Path(info.root_dir)]


def containerd_root(file: Path) -> Path:
    """Return the folder set in containerd's own file, its default if it sets none or cannot be read."""
    try:
        return Path(tomllib.loads(file.read_text()).get("root") or CONTAINERD_ROOT)
    except (OSError, ValueError):
        return Path(CONTAINERD_ROOT)


def _space(root: Path) -> Finding:
    free = shutil.disk_usage(root).free
    return Finding("image space", ok=free > LITTLE_SPACE, message=f"{free / 2**30:.1f} GiB free at {root}",
                   fix="docker image prune")
