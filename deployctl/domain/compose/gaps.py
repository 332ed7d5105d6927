"""What of a Compose project is not carried over as it is, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from deployctl.dataclass import dataclass


class GapCode(StrEnum):
    """Why a key is not carried over, for programs."""

    BIND_ALLOWED = "bind_allowed"  # config/server.toml has to list the path
    BIND_DATA = "bind_data"  # a folder with data becomes a volume that has none yet
    BIND_VOLUME = "bind_volume"  # an empty folder becomes a volume
    BUILD = "build"
    CONFIG_MISSING = "config_missing"
    CONTAINER_NAME = "container_name"
    DIGEST = "digest"
    DOCKER_SOCKET = "docker_socket"
    ENV_FILE_MISSING = "env_file_missing"
    FILE_MISSING = "file_missing"
    FILE_READ_ONLY = "file_read_only"
    GATED_ROUTE = "gated_route"  # a proxy let only some in
    INTERNAL_NETWORK = "internal_network"
    INVALID_VALUE = "invalid_value"
    KEY = "key"  # deployctl has nothing like it
    KEY_ALLOWED = "key_allowed"  # config/server.toml has to list the key
    LABELS = "labels"
    NETWORKS = "networks"
    NO_IMAGE = "no_image"
    PORT_RANDOM = "port_random"
    PORT_TCP = "port_tcp"
    PORT_UNKNOWN = "port_unknown"
    PORT_UDP = "port_udp"
    PROFILE = "profile"  # its services are left out
    PROXY = "proxy"
    RESTART = "restart"
    ROUTE = "route"
    SECRET_MISSING = "secret_missing"  # noqa: S105  (a code)
    START_ORDER = "start_order"
    TLS = "tls"
    VARIABLE_MISSING = "variable_missing"
    VARIABLE_UNSET = "variable_unset"
    VOLUME_OPTIONS = "volume_options"


@dataclass(frozen=True, slots=True)
class ImportGap:
    """`blocks`: the service does not start, or is not reached as its file says, before a person has done something."""

    code: GapCode
    key: str  # where the Compose project says it: services.web.ports
    why: str
    remedy: tuple[str, ...] = ()
    blocks: bool = False


def blocked(gaps: Sequence[ImportGap]) -> bool:
    return any(one.blocks for one in gaps)
