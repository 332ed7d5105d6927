"""A simulated engine with a thousand containers: over a Unix socket it responds as Docker would, with responses of the
same size.

Only what a watcher requests without drift. `answers.json` has Docker 20.10's responses for one container of an app;
each of ours differs in its names, labels and addresses.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

Json = dict[str, Any]
ANSWERS: Json = json.loads((Path(__file__).parent / "answers.json").read_text())
INFO = {"ID": "STAND:IN", "Driver": "overlay2", "Architecture": "x86_64", "OperatingSystem": "Linux", "MemoryLimit": True,
        "SwapLimit": True, "CpuCfsQuota": True, "PidsLimit": True, "IPv4Forwarding": True, "SecurityOptions": ["name=seccomp"],
        "DockerRootDir": "/var/lib/docker"}
VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "Arch": "amd64", "Os": "linux", "Components": []}


class Engine:
    """`containers` and `networks` are facts of ours, as JSON objects; `asked` counts the requests by path."""

    def __init__(self, containers: Sequence[Json], networks: Sequence[Json]) -> None:
        self.listed = _packed([_listed(one) for one in containers])
        self.inspected = {name: _packed(_inspected(one)) for one in containers for name in (one["id"], one["name"])}
        self.networks = _packed([_network(one) for one in networks])
        self.tags = _packed([{"Id": one["image"], "RepoTags": one["tags"]} for one in containers])
        self.ended = threading.Event()

    def find(self, path: str) -> bytes | None:
        match path.strip("/").split("/"):
            case ["containers", "json"]:
                return self.listed
            case ["containers", name, "json"]:
                return self.inspected.get(name)
            case ["networks"]:
                return self.networks
            case ["images", "json"]:
                return self.tags
            case ["info"]:
                return _packed(INFO)
            case ["version"]:
                return _packed(VERSION)
        return None


def _packed(told: Any) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()


def _joined(like: Json, facts: Json) -> Json:
    [example] = like.values()
    return {name: {**example, "IPAddress": address, "IPAMConfig": {"IPv4Address": address},
                   "MacAddress": facts.get("macs", {}).get(name, example["MacAddress"])}
            for name, address in facts["addresses"].items()}


def _listed(facts: Json) -> Json:
    told = deepcopy(ANSWERS["listed"])
    networks = _joined(told["NetworkSettings"]["Networks"], facts)
    return {**told, "Id": facts["id"], "Names": [f"/{facts['name']}"], "Image": facts["image"], "ImageID": facts["image"],
            "Labels": facts["labels"], "State": facts["status"], "NetworkSettings": {"Networks": networks}}


def _inspected(facts: Json) -> Json:
    told = deepcopy(ANSWERS["inspected"])
    told |= {"Id": facts["id"], "Name": f"/{facts['name']}", "Image": facts["image"]}
    told["Config"]["Labels"] = facts["labels"]
    told["NetworkSettings"]["Networks"] = _joined(told["NetworkSettings"]["Networks"], facts)
    told["HostConfig"]["RestartPolicy"]["Name"] = facts.get("restart") or "always"
    told["HostConfig"]["CapDrop"] = facts.get("cap_drop") or []
    if facts.get("limits"):
        told["HostConfig"] |= {"Memory": facts["limits"]["memory"], "NanoCpus": round(facts["limits"]["cpus"] * 10**9),
                               "PidsLimit": facts["limits"]["pids"]}
    return cast(Json, told)


def _network(facts: Json) -> Json:
    told = deepcopy(ANSWERS["network"])
    told["IPAM"]["Config"] = [{"Subnet": subnet} for subnet in facts["subnets"]]
    return {**told, "Name": facts["name"], "Labels": facts["labels"]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        engine, path = cast(_Server, self.server).engine, urlsplit(self.path).path
        if path.endswith("/events"):
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            engine.ended.wait()
            return
        body = engine.find(path)
        self.send_response(200 if body is not None else 404)
        answer = body or b'{"message":"no such thing"}'
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer)

    def address_string(self) -> str:
        return "a command"

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path, engine: Engine) -> None:
        super().__init__(str(path), _Handler)
        self.engine = engine


@contextmanager
def standing_in(path: Path, told: Mapping[str, Sequence[Json]]) -> Iterator[Engine]:
    """Serve on that socket while the block runs. `told` is what `many.py` wrote."""
    engine = Engine(told["containers"], told["networks"])
    with _Server(path, engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield engine
        finally:
            engine.ended.set()
            server.shutdown()
