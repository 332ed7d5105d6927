#!/usr/bin/env bash
# docker-py 7.2.0: build() fails because of a credential helper for a registry that the build does not use.
#
# Behaviour: config.json names a credential helper for registry.example.com, and that helper is not installed on this
# machine. pull() of an image from Docker Hub works. build() of a Dockerfile that says FROM scratch, which contacts no
# registry, fails before a byte is sent to the engine: it collects the logins of all configured registries first. With the
# helper as the store for all registries (credsStore) pull() fails, too, but with another class: DockerException from
# pull(), StoreError from build(), and StoreError is no DockerException, so `except DockerException` around both catches one.
# Seen with: PyPI docker 7.2.0, Python 3.11, Linux. No Docker engine is needed: a stand-in responds {} to every request.
# Exit 0: as described. 1: it behaves otherwise now.
set -euo pipefail
work=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check docker==7.2.0
export DOCKER_CONFIG=$work/config
mkdir "$DOCKER_CONFIG"
"$work/venv/bin/python" -W ignore - "$work" <<'PY'
import io, json, os, pathlib, socketserver, sys, threading
from http.server import BaseHTTPRequestHandler
import docker
from docker.errors import DockerException

path = pathlib.Path(sys.argv[1], "engine.sock")
requests = []


class Engine(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        requests.append(self.path.split("?")[0])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass

    def address_string(self):  # the peer of a Unix socket has none
        return "client"


engine = socketserver.ThreadingUnixStreamServer(str(path), Engine)
engine.daemon_threads = True
threading.Thread(target=engine.serve_forever, daemon=True).start()


def outcome(call):
    requests.clear()
    try:
        call()
    except Exception as e:
        return f"{type(e).__name__}{'' if isinstance(e, DockerException) else ' (no DockerException)'}", len(requests)
    return "works", len(requests)


def ask(config):
    pathlib.Path(os.environ["DOCKER_CONFIG"], "config.json").write_text(json.dumps(config))
    api = docker.APIClient(base_url=f"unix://{path}", version="1.41", timeout=10)
    pull = outcome(lambda: api.pull("busybox", "1.36"))
    build = outcome(lambda: list(api.build(fileobj=io.BytesIO(b"FROM scratch\n"))))
    print(config, "· pull from Docker Hub:", pull, "· build FROM scratch:", build)
    return pull, build


one = ask({"credHelpers": {"registry.example.com": "not-installed"}})
every = ask({"credsStore": "not-installed"})
as_described = (one == (("works", 1), ("DockerException", 0))
                and every == (("DockerException", 0), ("StoreError (no DockerException)", 0)))
print("as described" if as_described else "behaves otherwise now")
sys.exit(not as_described)
PY
