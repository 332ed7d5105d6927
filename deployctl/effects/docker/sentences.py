"""Messages of Docker and its runtimes as one plain sentence: known ones in our words, others without their noise."""

from __future__ import annotations

from deployctl.pattern import pattern

_NOISE = pattern(
    r"failed to create (?:shim )?task(?: for container)?: |failed to create shim: |OCI runtime (?:create|exec) failed: "
    r"|(?:runc )?(?:create|run|exec) failed: |container_linux\.go:\d+: |exec\.go:\d+: |process_linux\.go:\d+: "
    r"|unable to start container process: |starting container process caused: |exec failed: "
    r"|driver failed programming external connectivity on endpoint \S+ \([0-9a-f]+\): "
    r"|failed to set up container networking: |Error starting userland proxy: |Error response from daemon: "
    r"|: unknown$"
)
_SENTENCES = (
    (pattern(r'exec: "?([^":]*)"?: executable file not found|exec "?([^":]+)"?: executable file not found'),
     "the program {} does not exist in the image"),
    (pattern(r'(?:exec: |stat )"?([^":]+)"?: (?:stat [^:]*: )?no such file or directory'),
     "the program {} does not exist in the image"),
    (pattern(r'exec: "?([^":]*)"?: permission denied'), "the program {} is not executable"),
    (pattern(r'exec: "?([^":]*)"?: operation not permitted|exec "?(/[^": ]+)"?: operation not permitted'),
     "the program {} needs setuid or file capabilities, which no-new-privileges prevents"),
    (pattern(r"Bind for (\S+) failed: port is already allocated"), "port {} is already taken by another container"),
    (pattern(r"listen tcp[46]? (\S+): bind: address already in use"), "port {} is already taken by another program"),
    (pattern(r"failed to bind host port (?:for )?((?:[0-9.]+|\[[^]]+\]):\d+)\S*: address already in use"),
     "port {} is already taken by another program"),
    (pattern(r"IPv4 forwarding is disabled"), "this host does not forward IPv4 packets, so no container could be reached"),
    (pattern(r"subnet \S+ is already used"), "another network already has this subnet"),
    (pattern(r"requested ip address \S+ is already allocated"),
     "the address for this container is used by another one"),
    (pattern(r"exec sessions on running containers"), "the container is not running"),
    (pattern(r"UNIQUE constraint failed: ContainerConfig\.Name"), "another container has that name"),
    (pattern(r"^Address already in use$"), "the address for this container is used by another one"),
    (pattern(r"(?:unable to find user|no users? .*|unable to find group) (\S+?):? "), "the image has no user {}"),
    (pattern(r"Pool overlaps with other one"), "another Docker network already has this subnet"),
    (pattern(r"no space left on device"), "Docker's disk is full"),
)  # fmt: skip


def clear(message: str) -> str:
    """Return the engine's message as one plain sentence."""
    text = _NOISE.sub("", " ".join(message.split()))
    text = _NOISE.sub("", text)  # removing one prefix exposes the next
    for known, sentence in _SENTENCES:
        if match := known.search(text):
            return sentence.format(next((group for group in match.groups() if group), ""))
    return "".join(c if c.isprintable() else " " for c in text)[:500]
