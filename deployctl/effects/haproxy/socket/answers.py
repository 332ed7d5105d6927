"""HAProxy's replies as values. Its errors are prose, too: what does not look like a reply is rejected with an error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from deployctl.dataclass import dataclass, field
from deployctl.effects.haproxy.socket import wire
from deployctl.errors import SwitchRefused


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server as the worker has it."""

    name: str
    id: int
    address: str
    port: int
    ready: bool
    section: str = wire.APPS  # the backend that it is in

    @property
    def place(self) -> str:
        return wire.placed(self.section, self.name)


@dataclass(frozen=True, slots=True)
class Processes:
    """The master, the worker that receives traffic, and those that only finish open requests."""

    master: int | None
    worker: int | None
    leaving: tuple[int, ...]
    failed: int  # consecutive reloads that were rejected
    outlived: Mapping[int, int] = field(default_factory=dict)  # how many reloads each worker has survived


def parse_servers(reply: str) -> dict[str, ServerState]:
    """Read `show servers state` by its own heading and by place; SwitchRefused if it has none."""
    heading, _, rows = reply.partition("# be_id")[2].partition("\n")
    columns = ["be_id", *heading.split()]
    if "srv_admin_state" not in columns:
        raise SwitchRefused(f"HAProxy said: {reply.strip()}")
    return {server.place: server for server in (_server(columns, line) for line in rows.splitlines() if line.strip())}


def _server(columns: list[str], line: str) -> ServerState:
    row = dict(zip(columns, line.split(), strict=False))
    ready = row["srv_admin_state"] == "0"
    return ServerState(row["srv_name"], int(row["srv_id"]), row["srv_addr"], int(row["srv_port"]), ready, row["be_name"])


def parse_map(reply: str) -> dict[str, str]:
    """Read `show map`; of a duplicate key the first counts, as it does for HAProxy."""
    entries: dict[str, str] = {}
    for line in reply.splitlines():
        if line.strip():
            reference, _, entry = line.partition(" ")
            key, _, value = entry.partition(" ")
            if not reference.startswith("0x"):
                raise SwitchRefused(f"HAProxy said: {reply.strip()}")
            entries.setdefault(key, value)
    return entries


def parse_entry(reply: str) -> str | None:
    """Read `get map`; None if there is no such key."""
    found = reply.partition("found=yes")[2].partition("\n")[0]
    value, closed, _ = found.rpartition(' value="')[2].partition('"')
    known = bool(closed) and ' value="' in found
    if not known and "found=no" not in reply:
        raise SwitchRefused(f"HAProxy said: {reply.strip()}")
    return value if known else None


@dataclass(frozen=True, slots=True)
class Stat:
    """What is known of a server besides the request counts: from one worker, since it has had the server."""

    in_flight: int
    response_ms: float  # mean of the last 1,024


def parse_stat(reply: str) -> dict[str, Stat]:
    """Read the replies to `show stat` of one or several backends by server; preceding output is skipped."""
    heading, *lines = reply[reply.find("# pxname") + 2 :].splitlines() or [""]  # a worker that ends answers nothing
    # Only columns after those that are read here, of health checks, may contain a comma.
    rows = (dict(zip(heading.split(","), line.split(","), strict=False)) for line in lines)
    return {row["svname"]: Stat(int(row.get("scur") or 0), float(row.get("rtime") or 0))
            for row in rows if row.get("type") == "2" and wire.is_section(row.get("pxname", ""))}


def of_release(server: str) -> str:
    """Return the release that a server is of."""
    return ".".join(server.split(".")[:2])


def stat_by_release(found: Mapping[str, Stat]) -> dict[str, Stat]:
    """Return the servers of each release together: their open requests, and the mean of their means."""
    several: dict[str, list[Stat]] = {}
    for server, stat in found.items():
        several.setdefault(of_release(server), []).append(stat)
    return {release: Stat(sum(one.in_flight for one in some), _mean([one.response_ms for one in some if one.response_ms]))
            for release, some in several.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def takes_requests(reply: str, server: str) -> bool:
    """Read from `show stat` whether a server exists and is not disabled."""
    heading, *lines = reply.removeprefix("# ").splitlines() or [""]
    rows = (dict(zip(heading.split(","), line.split(","), strict=False)) for line in lines)
    return any(row.get("svname") == server and not row["status"].startswith(("MAINT", "DRAIN")) for row in rows)


def parse_version(reply: str) -> tuple[int, int] | None:
    """Read major and minor version from `haproxy -v` or from `show info`."""
    found = re.search(r"version:? (\d+)\.(\d+)", reply, re.IGNORECASE)
    return (int(found[1]), int(found[2])) if found else None


def parse_processes(reply: str) -> Processes:
    """Read `show proc` of the master."""
    present, _, past = reply.partition("# old workers")
    masters, workers = _rows(present, "master"), _rows(present, "worker")
    failed = reply.partition("[failed: ")[2].partition("]")[0]
    counted = [line.split() for line in reply.splitlines() if line.split()[1:2] == ["worker"]]
    return Processes(
        outlived={int(row[0]): int(row[2]) for row in counted},
        master=masters[0] if masters else None,
        worker=workers[0] if workers else None,
        leaving=(*workers[1:], *_rows(past, "worker")),
        failed=int(failed) if failed.isdecimal() else 0,
    )


def _rows(text: str, kind: str) -> tuple[int, ...]:
    return tuple(int(line.split()[0]) for line in text.splitlines() if line.split()[1:2] == [kind])


def parse_description(reply: str) -> str | None:
    """Read from `show info` which configuration the worker was started with."""
    found = re.search(r"^description: *(\S+)", reply, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else None


def parse_reasons(output: str) -> list[str]:
    """Extract HAProxy's own reasons from what it printed: the alerts, without prefixes and file names."""
    alerts = re.findall(r"^\[ALERT\]\s*\(\d+\) : (.*)$", output, re.MULTILINE)
    plain = [re.sub(r"^(?:config : )?(?:Binding |parsing )?\[[^\]]*\](?: for)?[: ]*", "", alert) for alert in alerts]
    return [reason for reason in plain if reason and not re.search(r"Exiting\.|rrors? found|rror\(s\) found", reason)]


def find_port(reason: str) -> int | None:
    """Return the port that HAProxy could not bind because it is in use, if that was the reason."""
    found = re.search(r"cannot bind socket \(Address already in use\).*:(\d+)\]", reason)
    return int(found[1]) if found else None
