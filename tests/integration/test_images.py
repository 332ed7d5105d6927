"""Each test image does what its name says, on a real engine, seen with plain docker-py.

Containers are published on 127.0.0.1 only. The engine's forwarder accepts there even when nobody listens inside,
so that "nobody listens" is seen as a connection that ends without an answer.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from docker.errors import APIError

from deployctl.demo import load_image
from deployctl.demo.image_tar import TarImage, file_layer, image_tar
from deployctl.demo.load_image import load_images
from deployctl.demo.python_layer import python_layer
from deployctl.demo.webapp_image import webapp_image
from deployctl.errors import EngineRefused, EngineUnavailable
from tests import images, support
from tests.images import ensure_image, ensure_images

DEADLINE = 20.0


class Box:
    """One container of a test image, and what its neighbours can see of it."""

    def __init__(self, api: Any, tag: str, options: dict[str, Any]) -> None:
        self.api = api
        host = {name: options.pop(name) for name in ("mem_limit", "memswap_limit", "binds") if name in options}
        made = api.create_container(
            tag, name=f"dctl-test-{uuid4().hex[:12]}", ports=[8080], labels={"deployctl.test": "1"},
            host_config=api.create_host_config(port_bindings={8080: ("127.0.0.1", None)}, **host), **options,
        )  # fmt: skip
        self.id: str = made["Id"]

    def start(self) -> Box:
        self.api.start(self.id)
        return self

    @property
    def port(self) -> int:
        return int(self.inspect()["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"])

    def inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.inspect_container(self.id)
        return found

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.inspect()["State"]
        return found

    def exit_code(self) -> int:
        return int(self.api.wait(self.id, timeout=20)["StatusCode"])

    def logs(self) -> str:
        return str(self.api.logs(self.id).decode())

    def ask(self, path: str) -> tuple[int, dict[str, str], bytes] | None:
        """Return status, header fields and body; None when no answer came."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def status(self, path: str) -> int | None:
        answer = self.ask(path)
        return answer[0] if answer else None

    def json(self, path: str) -> Any:
        answer = self.ask(path)
        assert answer is not None
        return json.loads(answer[2])

    def wait_for(self, path: str, status: int) -> Box:
        until = time.monotonic() + DEADLINE
        while self.status(path) != status:
            assert time.monotonic() < until, f"{path} never gave {status}; logs:\n{self.logs()}"
            time.sleep(0.02)
        return self

    def wait_for_state(self, name: str, *, value: object) -> None:
        until = time.monotonic() + DEADLINE
        while self.state[name] != value:
            assert time.monotonic() < until, self.state
            time.sleep(0.1)

    def wait_for_health(self, verdict: str) -> None:
        until = time.monotonic() + DEADLINE
        while self.state["Health"]["Status"] != verdict:
            assert time.monotonic() < until, self.state["Health"]
            time.sleep(0.1)


class Boxes:
    """Makes containers, and takes every one of them away in the end."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self._made: list[Box] = []

    def make(self, name: str, version: str = "v1", *, tag: str | None = None, **options: Any) -> Box:
        box = Box(self.api, tag or ensure_image(name, version), options)
        self._made.append(box)
        return box

    def run(self, name: str, version: str = "v1", **options: Any) -> Box:
        return self.make(name, version, **options).start()

    def remove_all(self) -> None:
        for box in self._made:
            self.api.remove_container(box.id, force=True, v=True)


@pytest.fixture(scope="module")
def api(engine_url: str) -> Iterator[Any]:  # docker-py's low-level client carries no types
    with support.engine(engine_url) as client:
        yield client


@pytest.fixture
def boxes(api: Any) -> Iterator[Boxes]:
    made = Boxes(api)
    try:
        yield made
    finally:
        made.remove_all()


# -- loading ----------------------------------------------------------------------------------------------------
def test_every_image_of_the_catalogue_is_loaded_and_all_share_the_same_layers(api: Any) -> None:
    tags = ensure_images(*((name, "v1") for name in images.RECIPES))
    layers = {tuple(api.inspect_image(tag)["RootFS"]["Layers"]) for tag in tags}
    assert len(tags) == len(images.RECIPES)
    assert len(layers) == 1


def test_an_image_that_the_engine_holds_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = ensure_images(("web", "v1"), ("dockerhealth", "v1"), ("volume", "v1"), ("nonroot", "v1"))
    monkeypatch.delattr(load_image, "image_tar")
    assert ensure_images(("web", "v1"), ("dockerhealth", "v1"), ("volume", "v1"), ("nonroot", "v1")) == tags


def test_a_tag_that_was_moved_is_moved_back(api: Any) -> None:
    tag = ensure_image("web", f"moved-{uuid4().hex[:8]}")
    right = api.inspect_image(tag)["Id"]
    api.tag(ensure_image("exitzero"), tag.partition(":")[0], tag.partition(":")[2])
    assert api.inspect_image(tag)["Id"] != right
    ensure_image(*tag.removeprefix("dctl-test/").split(":"))
    assert api.inspect_image(tag)["Id"] == right
    api.remove_image(tag)


def test_the_engine_tells_the_very_image_that_was_made(api: Any) -> None:
    told, made = api.inspect_image(ensure_image("web", "v2")), images.image("web", "v2")
    assert made.is_told_by(told)
    assert support.has_containerd_store(api) or told["Id"] == made.id


def test_a_layer_travels_once_to_an_engine_that_knows_it_again(
    api: Any, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bool] = []

    def sending(wanted: list[TarImage], *, with_layers: bool) -> bytes:
        sent.append(with_layers)
        return image_tar(wanted, with_layers=with_layers)

    monkeypatch.setattr(load_image, "image_tar", sending)
    layer = file_layer({"/unique": uuid4().bytes})
    first, second = (TarImage((layer,), (f"dctl-test/layer:{uuid4().hex[:8]}",), env={"N": n}) for n in "12")
    load_images(engine_url, first)
    load_images(engine_url, second)
    again = [True] if support.has_containerd_store(api) else []  # that one knows layers by another digest than the archive
    assert sent == [False, True, False, *again]
    for image in (first, second):
        assert api.inspect_image(image.tags[0])["RootFS"]["Layers"] == [layer.diff_id]
        api.remove_image(image.tags[0])


def test_a_tag_that_no_engine_can_bear_is_refused(engine_url: str) -> None:
    with pytest.raises(EngineRefused, match="invalid reference"):
        load_images(engine_url, TarImage((file_layer({"/a": b""}),), ("dctl-test/Upper Case:1",)))


def test_an_engine_that_hangs_up_is_told_as_such(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "docker.sock"))
        listener.listen()
        hanging_up = Thread(target=lambda: listener.accept()[0].close())
        hanging_up.start()
        with pytest.raises(EngineUnavailable, match="cannot load images"):
            load_images(f"unix://{tmp_path}/docker.sock", images.image("web"))
        hanging_up.join()


def test_the_demos_image_serves_shows_its_fault_and_ends_in_peace(boxes: Boxes, engine_url: str) -> None:
    tag = f"dctl-test/demo:{uuid4().hex[:8]}"
    image = webapp_image(tag, version="v2", color="#0a7a68", fault="1/3", cache=images.CACHE)
    assert image.layers[0].diff_id == python_layer(images.CACHE).diff_id
    load_images(engine_url, image)
    box = boxes.make("", tag=tag).start().wait_for("/healthz", 200)
    assert sorted(str(box.status("/version")) for _ in range(6)) == ["200"] * 4 + ["500"] * 2
    boxes.api.stop(box.id, timeout=10)
    assert box.exit_code() == 0
    boxes.remove_all()
    boxes._made.clear()
    boxes.api.remove_image(tag)


# -- images that work --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_web_names_its_version_and_ends_with_zero(boxes: Boxes, version: str) -> None:
    box = boxes.run("web", version).wait_for("/healthz", 200)
    assert box.json("/version")["version"] == version
    status, fields, _ = box.ask("/") or (0, {}, b"")
    assert (status, fields["X-Version"]) == (200, version)
    assert box.json("/facts")["pid"] == 1
    assert box.json("/env")["VERSION"] == version
    boxes.api.stop(box.id, timeout=10)
    assert box.exit_code() == 0


def test_web_streams_for_as_long_as_it_is_asked_to(boxes: Boxes) -> None:
    box = boxes.run("web").wait_for("/healthz", 200)
    began = time.monotonic()
    status, fields, body = box.ask("/sse?n=4&every=0.2") or (0, {}, b"")
    assert (status, fields["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
    assert body.count(b"data: v1\n\n") == 4
    assert time.monotonic() - began >= 0.6


def test_graceful_finishes_what_it_has_begun_and_refuses_newcomers(boxes: Boxes) -> None:
    box = boxes.run("graceful").wait_for("/healthz", 200)
    answers: list[int | None] = []
    visitor = Thread(target=lambda: answers.append(box.status("/slow?s=2")))
    visitor.start()
    time.sleep(0.5)
    boxes.api.kill(box.id, signal="SIGTERM")
    time.sleep(0.5)
    refused = box.status("/healthz")
    visitor.join()
    assert (answers, refused) == ([200], None)
    assert box.exit_code() == 0


def test_slowstart_answers_only_after_its_time(boxes: Boxes) -> None:
    box = boxes.run("slowstart", environment={"START_SECONDS": "1.5"})
    began = time.monotonic()
    assert box.status("/healthz") is None
    box.wait_for("/healthz", 200)
    assert time.monotonic() - began >= 1.0


def test_volume_remembers_its_starts(boxes: Boxes) -> None:
    box = boxes.run("volume").wait_for("/healthz", 200)
    assert box.json("/facts")["starts"] == 1
    boxes.api.restart(box.id, timeout=5)
    assert box.wait_for("/healthz", 200).json("/facts")["starts"] == 2
    assert [mount["Destination"] for mount in box.inspect()["Mounts"]] == ["/data"]


def test_nonroot_is_not_root(boxes: Boxes) -> None:
    assert boxes.run("nonroot").wait_for("/healthz", 200).json("/facts")["uid"] == 10001


def test_laggy_answers_late(boxes: Boxes) -> None:
    box = boxes.run("laggy").wait_for("/healthz", 200)
    began = time.monotonic()
    assert box.status("/") == 200
    assert time.monotonic() - began >= 0.4


def test_needsenv_tells_what_is_missing_and_works_when_it_is_given(boxes: Boxes) -> None:
    without = boxes.run("needsenv")
    assert without.exit_code() == 1
    assert "KeyError: 'DATABASE_URL is not set'" in without.logs()
    boxes.run("needsenv", environment={"DATABASE_URL": "postgres://x"}).wait_for("/healthz", 200)


@pytest.mark.parametrize(("name", "verdict"), [("dockerhealth", "healthy"), ("dockersick", "unhealthy")])
def test_an_images_own_healthcheck_gives_its_verdict(boxes: Boxes, name: str, verdict: str) -> None:
    boxes.run(name).wait_for_health(verdict)


# -- images that never get healthy ---------------------------------------------------------------------------------
def test_neverhealthy_serves_pages_but_is_not_healthy(boxes: Boxes) -> None:
    box = boxes.run("neverhealthy").wait_for("/", 200)
    assert box.status("/healthz") == 503


def test_redirect_sends_health_questions_to_https(boxes: Boxes) -> None:
    status, fields, _ = boxes.run("redirect").wait_for("/", 200).ask("/healthz") or (0, {}, b"")
    assert status == 302
    assert fields["Location"].startswith("https://127.0.0.1:")


@pytest.mark.parametrize(("name", "said"), [("wrongport", "port 9090"), ("loopback", "port 8080")])
def test_an_app_that_listens_elsewhere_runs_and_cannot_be_reached(boxes: Boxes, name: str, said: str) -> None:
    box = boxes.run(name)
    until = time.monotonic() + DEADLINE
    while said not in box.logs() and time.monotonic() < until:
        time.sleep(0.05)
    assert said in box.logs()
    assert box.status("/healthz") is None
    assert box.state["Running"]
    assert list(boxes.api.inspect_image(f"dctl-test/{name}:v1")["Config"]["ExposedPorts"]) == ["8080/tcp"]


# -- images that do not stay ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "code", "said"), [("exitone", 3, "fatal: "), ("exitzero", 0, "nothing to do")])
def test_an_image_that_exits_says_why(boxes: Boxes, name: str, code: int, said: str) -> None:
    box = boxes.run(name)
    assert box.exit_code() == code
    assert said in box.logs()


def test_badentry_cannot_be_started(boxes: Boxes) -> None:
    box = boxes.make("badentry")
    with pytest.raises(APIError, match="no such file or directory"):
        box.start()


def test_wrongarch_is_of_another_architecture(api: Any) -> None:
    engine = {"x86_64": "amd64", "aarch64": "arm64"}[api.info()["Architecture"]]
    assert api.inspect_image(ensure_image("wrongarch"))["Architecture"] != engine
    assert api.inspect_image(ensure_image("web"))["Architecture"] == engine


def test_crash_is_healthy_first_and_then_gone_as_after_a_segmentation_fault(boxes: Boxes) -> None:
    box = boxes.run("crash").wait_for("/healthz", 200)
    assert box.exit_code() == 139


def test_memhog_is_killed_by_its_limit(boxes: Boxes) -> None:
    box = boxes.run("memhog", mem_limit=64 << 20, memswap_limit=64 << 20)
    assert box.exit_code() == 137
    box.wait_for_state("OOMKilled", value=True)  # the engine may learn it after the end


# -- unpleasant ones -----------------------------------------------------------------------------------------------
def test_flaky_fails_one_answer_in_five_whatever_is_asked(boxes: Boxes) -> None:
    box = boxes.run("flaky").wait_for("/healthz", 500)
    assert [box.status("/healthz") for _ in range(10)] == [200, 200, 200, 200, 500] * 2


def test_noterm_must_be_killed(boxes: Boxes) -> None:
    box = boxes.run("noterm").wait_for("/healthz", 200)
    boxes.api.stop(box.id, timeout=1)
    assert box.exit_code() == 137


def test_spoof_bears_labels_of_somebody_else(boxes: Boxes) -> None:
    labels = boxes.run("spoof").wait_for("/healthz", 200).inspect()["Config"]["Labels"]
    assert (labels["deployctl.managed"], labels["deployctl.app"]) == ("1", "victim")
