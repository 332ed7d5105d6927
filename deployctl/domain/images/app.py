"""An app as it is deployed: where it is reached, which network its containers are in, and which release is live."""

from __future__ import annotations

from deployctl.dataclass import dataclass, field, replace
from deployctl.domain.host.networks import AppNetwork
from deployctl.domain.proxy.trust import ProxyTrust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Instance
    from deployctl.domain.inputs.app_spec import AppFile
    from deployctl.domain.inputs.names import AppName


@dataclass(frozen=True, slots=True)
class Policy:
    """An app's settings beyond one release; taken from its file at each upgrade. Seconds and counts."""

    drain: float = 30.0
    watch: float = 0.0
    keep_warm: int = 1
    keep_stopped: int = 5


@dataclass(frozen=True, slots=True)
class App:
    """One app as it is deployed. Its address is for display, its network is where the next container goes."""

    name: AppName
    subnet: str  # in the pool; this and the next three describe the network for new containers
    gateway: str
    network: str  # Docker's name
    bridge: str  # the host's interface, at most 15 characters
    revision: int = 0
    active: int | None = None  # release number, as promoted
    listen: tuple[str, int] | None = None  # the public address
    hosts: tuple[str, ...] = ()  # host names routed on the shared HTTP address
    policy: Policy = field(default_factory=Policy)
    trust: ProxyTrust = field(default_factory=ProxyTrust)
    file: str | None = None  # what its file said when it was last deployed (AppFile.file); None: unknown
    engines_own: str | None = None
    ports: tuple[tuple[str, tuple[str, int]], ...] = ()  # where its further ports listen, by their names; sorted

    @property
    def listens(self) -> dict[str, tuple[str, int]]:
        """Return every address that it has of its own, by the name of the port; the public one has none."""
        return {**({"": self.listen} if self.listen else {}), **dict(self.ports)}

    def wishing(self, like: AppFile | App) -> App:
        """Return it with the settings beyond one release of `like`: a file, or the app at another time."""
        return replace(self, listen=like.listen, hosts=like.hosts, policy=like.policy, trust=like.trust, file=like.file,
                       ports=like.ports)

    @property
    def is_backing(self) -> bool:
        """Return whether it is a backing component of an app: in its network, with one address for life, without visitors."""
        return "/" in self.name

    @property
    def own_network(self) -> AppNetwork:
        return AppNetwork(self.network, self.bridge, self.subnet, self.gateway, self.engines_own)

    def moved_to(self, network: AppNetwork) -> App:
        """Return the app with that network for its next containers."""
        return replace(self, network=network.name, bridge=network.bridge, subnet=network.subnet, gateway=network.gateway,
                       engines_own=network.engines_own)

    def network_of(self, instance: Instance | None) -> AppNetwork:
        return instance.network if instance and instance.network else self.own_network

    @property
    def address(self) -> str | None:
        """Return the public address as text, `127.0.0.1:8000` or a host name."""
        if self.listen:
            host, port = self.listen
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return self.hosts[0] if self.hosts else None
