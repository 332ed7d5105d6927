"""Docker says much in words only. These are words that engines really said, and what they mean to a caller."""

from __future__ import annotations

import pytest

from deployctl.effects.docker.errors import EngineConflict, EngineSilent, from_answer, from_os_error, pull_failure
from deployctl.effects.docker.sentences import clear
from deployctl.errors import (
    DeployctlError,
    EngineRefused,
    EngineUnavailable,
    NotFound,
    NotPermitted,
    PlaceTaken,
    RegistryUnavailable,
)

UNIX = "unix:///var/run/docker.sock"
RUNC = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "

SENTENCES = [
    (
        f'{RUNC}exec: "nope": executable file not found in $PATH: unknown',
        "the program nope does not exist in the image",
    ),
    (
        "OCI runtime create failed: container_linux.go:380: starting container process caused: "
        'exec: "/no/such/program": '
        "stat /no/such/program: no such file or directory: unknown",
        "the program /no/such/program does not exist in the image",
    ),
    (f'{RUNC}exec: "/etc/passwd": permission denied: unknown', "the program /etc/passwd is not executable"),
    (
        "driver failed programming external connectivity on endpoint shop (0123456789abcdef): "
        "Bind for 127.0.0.1:20001 failed: port is already allocated",
        "port 127.0.0.1:20001 is already taken by another container",
    ),
    (
        "driver failed programming external connectivity on endpoint shop (0123456789abcdef): "
        "Error starting userland proxy: listen tcp4 127.0.0.1:20001: bind: address already in use",
        "port 127.0.0.1:20001 is already taken by another program",
    ),
    ("failed to set up container networking: driver failed programming external connectivity on endpoint shop "
     "(0123456789abcdef): failed to bind host port for 127.0.0.1:21998:172.31.42.2:8080/tcp: address already in use",
     "port 127.0.0.1:21998 is already taken by another program"),  # 28.5
    ("failed to bind host port 127.0.0.1:21998/tcp: address already in use",
     "port 127.0.0.1:21998 is already taken by another program"),  # 29.7
    ("failed to set up container networking: Address already in use",
     "the address for this container is used by another one"),
    ("invalid pool request: Pool overlaps with other one on this address space",
     "another Docker network already has this subnet"),
    ("IPv4 forwarding is disabled: check your host's firewalling and set sysctl net.ipv4.ip_forward=1, or disable this check",
     "this host does not forward IPv4 packets, so no container could be reached"),  # 29.7 with nftables
    # Podman 5.4
    ("subnet 172.29.77.0/27 is already used on the host or by another config", "another network already has this subnet"),
    ("IPAM error: requested ip address 172.27.0.2 is already allocated to container ID ab",
     "the address for this container is used by another one"),
    ("can only create exec sessions on running containers: container state improper", "the container is not running"),
    ("updating container config table with new configuration for container ab: UNIQUE constraint failed: "
     "ContainerConfig.Name", "another container has that name"),
    ('Error: runc: exec failed: unable to start container process: exec: "/no/such": stat /no/such: no such file or '
     "directory: OCI runtime attempted to invoke a command that was not found",
     "the program /no/such does not exist in the image"),
    ("Address already in use", "the address for this container is used by another one"),
    ("unable to find user nobody2: no matching entries in passwd file", "the image has no user nobody2"),
    ("Pool overlaps with other one on this address space", "another Docker network already has this subnet"),
    ("write /var/lib/docker/tmp/x: no space left on device", "Docker's disk is full"),
    ("something that\nnobody \x1b[31mforesaw", "something that nobody  [31mforesaw"),
]


@pytest.mark.parametrize(("said", "sentence"), SENTENCES)
def test_the_noise_of_runtimes_is_cut_to_one_plain_sentence(said: str, sentence: str) -> None:
    assert clear(said) == sentence


ANSWERS: list[tuple[int, str, type[DeployctlError]]] = [
    (404, "No such image: shop:v1", NotFound),
    (404, "No such container: shop", NotFound),
    (404, "network deployctl-shop not found", PlaceTaken),
    (404, "failed to find image sha256:0: docker.io/library/sha256:0: image not known", NotFound),
    (404, 'no container with name or ID "nope" found: no such container', NotFound),
    (500, "subnet 172.29.77.0/27 is already used on the host or by another config", EngineConflict),
    (409, "network name capnet already used: network already exists", EngineConflict),
    (500, 'creating container storage: the container name "shop" is already in use by ab. You have to remove', EngineConflict),
    (409, 'Conflict. The container name "/shop" is already in use by container "ab"', EngineConflict),
    (409, "network with name shop already exists", EngineConflict),
    (409, "removal of container shop is already in progress", EngineUnavailable),
    (409, "Container ab is not running", EngineRefused),
    (403, "Pool overlaps with other one on this address space", EngineConflict),
    (403, "network shop has active endpoints", EngineRefused),
    (403, "authorization denied by plugin x: no", NotPermitted),
    (400, f'{RUNC}exec: "nope": executable file not found in $PATH: unknown', EngineRefused),
    (500, "driver failed: port is already allocated", PlaceTaken),
    (500, "failed to set up container networking: Address already in use", PlaceTaken),
    (403, "cannot create network ab (dc-1): conflicts with network cd (dc-1): networks have same bridge name", EngineConflict),
    (500, "write /x: no space left on device", EngineRefused),
    (
        500,
        'Cannot connect: dial unix /run/containerd/containerd.sock: connect: "connection refused"',
        EngineUnavailable,
    ),
    (503, "the daemon is starting", EngineUnavailable),
]


@pytest.mark.parametrize(("status", "said", "kind"), ANSWERS)
def test_a_refusal_is_something_that_a_caller_can_act_on(status: int, said: str, kind: type[DeployctlError]) -> None:
    error = from_answer(status, said, doing="start shop", address=UNIX)
    assert type(error) is kind


PULLS: list[tuple[str, type[DeployctlError]]] = [
    ("manifest for x/y:v9 not found: manifest unknown: manifest unknown", NotFound),
    ("pull access denied for y, repository does not exist or may require 'docker login': denied: x", NotFound),
    ('failed to resolve reference "r.example.com/y:v9": r.example.com/y:v9: not found', NotFound),
    ('failed to resolve reference "r.example.com/y:v1": pull access denied, repository does not exist or may require '
     "authorization: authorization failed: no basic auth credentials", RegistryUnavailable),
    ('failed to resolve reference "docker.io/library/y:v1": pull access denied, repository does not exist or may require '
     "authorization: server message: insufficient_scope: authorization failed", NotFound),
    ('unknown: failed to resolve reference "r.example.com/y:v1": unexpected status from HEAD request to '
     "https://r.example.com/v2/y/manifests/v1: 403 Forbidden", NotFound),
    ('failed to resolve reference "r.example.com/y:v1": error from registry: denied', NotFound),
    ('unknown: failed to resolve reference "r.example.com/y:v1": unexpected status from HEAD request to '
     "https://r.example.com/v2/y/manifests/v1: 429 Too Many Requests", RegistryUnavailable),
    ("no matching manifest for linux/amd64 in the manifest list entries", NotFound),
    ("Head https://r.example.com/v2/y/manifests/v1: no basic auth credentials", RegistryUnavailable),
    ("Get https://r.example.com/v2/: unauthorized: authentication required", RegistryUnavailable),
    ("unauthorized: incorrect username or password", RegistryUnavailable),
    ("Get http://127.0.0.1:1/v2/: dial tcp 127.0.0.1:1: connect: connection refused", RegistryUnavailable),
    ("Get https://r.example.com/v2/: dial tcp: lookup r.example.com: no such host", RegistryUnavailable),
    ("Get https://r/v2/: net/http: request canceled (Client.Timeout exceeded)", RegistryUnavailable),
    ("Get https://r/v2/: x509: certificate signed by unknown authority", RegistryUnavailable),
    ("Get https://r/v2/: http: server gave HTTP response to HTTPS client", RegistryUnavailable),
    ("toomanyrequests: You have reached your pull rate limit", RegistryUnavailable),
    ("received unexpected HTTP status: 500 Internal Server Error", RegistryUnavailable),
    ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", EngineRefused),
    ("grpc: the connection is unavailable", EngineUnavailable),
]  # fmt: skip


@pytest.mark.parametrize(("said", "kind"), PULLS)
def test_a_failed_pull_tells_an_absent_image_from_an_absent_registry(said: str, kind: type[DeployctlError]) -> None:
    error = pull_failure("r.example.com/y:v1", "r.example.com", said, address=UNIX)
    assert type(error) is kind
    assert error.remedy


def test_a_host_that_forwards_nothing_is_told_with_the_command_that_lets_it() -> None:
    error = from_answer(400, "IPv4 forwarding is disabled: check your host's firewalling", doing="create x", address=UNIX)
    assert (error.code, error.remedy) == ("forwarding_off", ["sudo sysctl net.ipv4.ip_forward=1"])


def test_a_missing_login_says_where_to_log_in() -> None:
    error = pull_failure("r.example.com/y:v1", "r.example.com", "no basic auth credentials", address=UNIX)
    assert error.remedy == ["docker login r.example.com"]


@pytest.mark.parametrize(
    ("cause", "reason", "kind"),
    [
        (ConnectionRefusedError(), "connection refused", EngineUnavailable),
        (FileNotFoundError(), "no such socket", EngineUnavailable),
        (ConnectionResetError(), "the connection was lost", EngineUnavailable),
        (TimeoutError(), "no response in time", EngineSilent),
        (OSError(113, "No route to host"), "No route to host", EngineUnavailable),
    ],
)
def test_an_engine_that_is_away_says_that_running_apps_keep_serving(
    cause: OSError, reason: str, kind: type[DeployctlError]
) -> None:
    error = from_os_error(cause, UNIX)
    assert type(error) is kind
    assert error.message == (
        f"Docker is not responding on {UNIX} ({reason}). "
        "Running apps are not affected; HAProxy can switch without Docker."
    )
    assert error.remedy == ["sudo systemctl start docker", "deployctl doctor"]


def test_a_socket_that_we_may_not_open_is_a_question_of_rights() -> None:
    assert isinstance(from_os_error(PermissionError(), UNIX), NotPermitted)
