"""What runs inside a stand-in image, under every name that the project calls: the service itself as process 1, a job that ends,
or the program of a health check. The container has this file and no other package.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any


def who() -> dict[str, Any]:
    """Return which of the image's services this is: that with these words."""
    services: list[dict[str, Any]] = json.loads(os.environ["STAND_IN"])
    return next((one for one in services if one["words"] == sys.argv[1:]), services[-1])


def is_service() -> bool:
    """Return whether this is the container's own program and not one that was called inside it: those have no parent here."""
    return os.getpid() == 1 or os.getppid() != 0


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        told: dict[str, Any] = {"service": who()["name"], "version": os.environ["STAND_IN_VERSION"]}
        place = Path("/" + self.path.partition("?")[0].lstrip("/").partition("/")[2])
        if self.path.startswith("/reach/"):
            told["reached"] = reached(*self.path.removeprefix("/reach/").split(":"))
        elif self.path == "/env":
            told["env"] = dict(os.environ)
        elif self.path.startswith("/read/"):
            told["text"] = place.read_text() if place.is_file() else None
        elif self.path.startswith("/write/"):
            Path(place, "stand-in").write_text(told["service"])
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Version", told["version"])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # Python's own 5 are fewer than any server for real traffic has


def reached(host: str, port: str) -> bool:
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError:
        return False
    return True


def serve(me: dict[str, Any]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    for port in me["ports"]:
        Thread(target=Server(("0.0.0.0", port), Answers).serve_forever, daemon=True).start()
    print(f"{me['name']} serves {me['ports']}", flush=True)
    while True:
        signal.pause()


def main() -> None:
    me = who()
    if not is_service():
        sys.exit(0 if all(reached("127.0.0.1", str(port)) for port in me["ports"]) else 1)
    if me["job"]:
        time.sleep(0.2)
        print(f"{me['name']} is done", flush=True)
        sys.exit(0)
    serve(me)


if __name__ == "__main__":
    main()
