"""A registry on 127.0.0.1 with images of one tiny layer: enough of the protocol for `docker pull`, and its refusals."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from deployctl.demo.image_tar import TarImage, file_layer, host_architecture

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class StubRegistry:
    """`refusal` answers everything with that status and error code; `stall` sends half a layer and then nothing."""

    def __init__(self) -> None:
        self.refusal: tuple[int, str] | None = None
        self._manifests: dict[str, bytes] = {}
        self._blobs: dict[str, bytes] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread: Thread | None = Thread(target=self._server.serve_forever, args=[0.05])
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        if self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._thread = None

    def publish(self, name: str, *, architecture: str | None = None) -> str:
        """Offer an image as `name:tag`, and return the id that it will have."""
        layer = file_layer({"/name": name.encode()})
        return self.offer(name,
                          TarImage((layer,), (name,), command=("/name",), architecture=architecture or host_architecture()))

    def offer(self, name: str, image: TarImage) -> str:
        """Offer that image as `name:tag`, and return its id."""
        packed = [gzip.compress(layer.tar, compresslevel=1, mtime=0) for layer in image.layers]
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": self._blob(image.config, "application/vnd.docker.container.image.v1+json"),
            "layers": [self._blob(one, "application/vnd.docker.image.rootfs.diff.tar.gzip") for one in packed],
        }  # fmt: skip
        self._offer(name, json.dumps(manifest).encode())
        return image.id

    def digest(self, name: str) -> str:
        """Return the manifest's digest: what `name@…` names."""
        repository, _, tag = name.partition(":")
        return _digest(self._manifests[f"/v2/{repository}/manifests/{tag}"])

    def _offer(self, name: str, manifest: bytes) -> None:
        repository, _, tag = name.partition(":")
        for reference in (tag, _digest(manifest)):
            self._manifests[f"/v2/{repository}/manifests/{reference}"] = manifest

    def _blob(self, data: bytes, kind: str) -> dict[str, object]:
        self._blobs[_digest(data)] = data
        return {"mediaType": kind, "size": len(data), "digest": _digest(data)}

    def answer(self, path: str) -> tuple[int, str, bytes]:
        if self.refusal is not None:
            return self.refusal[0], "application/json", _error(self.refusal[1])
        if path == "/v2/":
            return 200, "application/json", b"{}"
        if path in self._manifests:
            return 200, MANIFEST, self._manifests[path]
        if (blob := self._blobs.get(path.rpartition("/")[2])) is not None:
            return 200, "application/octet-stream", blob
        return 404, "application/json", _error("MANIFEST_UNKNOWN")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            default_request_version = "HTTP/1.0"  # a TLS hello is answered with a status line: then containerd asks plainly

            def do_GET(self) -> None:
                status, kind, body = registry.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
                if kind == MANIFEST:
                    self.send_header("Docker-Content-Digest", _digest(body))
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="stub"')
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, *words: object) -> None:
                """Tests are quiet."""

        return Handler


def _error(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


@contextmanager
def stub_registry() -> Iterator[StubRegistry]:
    registry = StubRegistry()
    try:
        yield registry
    finally:
        registry.close()
