"""The file that `init` writes: small, commented, and right at once."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployctl.config.app import AppSpec, parse_app_spec
from deployctl.config.new_app_file import app_file_text, find_health_path, find_port
from deployctl.domain.images.release import ProbeKind
from deployctl.domain.inputs.names import AppName, parse_image, parse_path
from deployctl.ports import Image

SHOP = AppName("shop")
LOCAL = ("127.0.0.1", 8000)
REF = parse_image("r.example.com/acme/shop:v1")


def image(*, ports: tuple[int, ...] = (), healthcheck: tuple[str, ...] | None = None) -> Image:
    return Image("sha256:" + "0" * 64, "amd64", "linux", 1, ports=ports, healthcheck=healthcheck)


def spec(text: str) -> AppSpec:
    return parse_app_spec(tomllib.loads(text), where="config/shop.toml")


# -- the text ---------------------------------------------------------------------------------------------------
def test_the_file_has_eight_lines_with_a_comment_each_and_loads() -> None:
    text = app_file_text(SHOP, REF, port=8080, listen=LOCAL, health_path="/healthz")
    assert len(text.splitlines()) == 8
    assert all(" # " in line for line in text.splitlines())
    written = spec(text)
    assert (written.image, written.port, written.listen) == ("r.example.com/acme/shop", 8080, ("127.0.0.1", 8000))
    assert written.health.path == "/healthz"
    assert text.startswith('image = "r.example.com/acme/shop"')
    assert "deployctl upgrade shop v2` runs …/shop:v2" in text


@pytest.mark.parametrize("listen", [LOCAL, ("0.0.0" + ".0", 80), ("::1", 8000), None])
@pytest.mark.parametrize("host", ["shop.test", None])
def test_the_app_is_reached_by_what_was_given(listen: tuple[str, int] | None, host: str | None) -> None:
    if listen or host:
        written = spec(app_file_text(SHOP, REF, port=80, listen=listen, host=host))
        assert (written.listen, written.hosts) == (listen, (host,) if host else ())


def test_the_images_own_check_is_used_only_when_no_path_is_known() -> None:
    by_docker = spec(app_file_text(SHOP, REF, port=80, listen=LOCAL, healthcheck=True))
    by_path = spec(app_file_text(SHOP, REF, port=80, listen=LOCAL, healthcheck=True, health_path="/up"))
    by_root = spec(app_file_text(SHOP, REF, port=80, listen=LOCAL))
    assert by_docker.health.kind == ProbeKind.DOCKER
    assert (by_path.health.kind, by_path.health.path) == (ProbeKind.HTTP, "/up")
    assert (by_root.health.kind, by_root.health.path) == (ProbeKind.HTTP, "/")


def test_a_short_image_name_is_told_without_dots() -> None:
    text = app_file_text(SHOP, parse_image("nginx"), port=80, listen=LOCAL)
    assert "runs nginx:v2" in text
    assert spec(text).image == "nginx"


@settings(deadline=None)
@given(st.from_regex(r"/([!#-&(-\[\]-~][!#-&(-.0-\[\]-~]{0,30})?", fullmatch=True).filter(lambda p: p[:2] != "//"))
def test_any_path_that_is_accepted_comes_back_from_the_file(path: str) -> None:
    text = app_file_text(SHOP, REF, port=80, listen=LOCAL, health_path=parse_path(path))
    assert spec(text).health.path == path


# -- what the image tells ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ports", "port"),
    [((), None), ((9000,), 9000), ((8080, 9090), 8080), ((80, 443), 80), ((9000, 9001), None), ((80, 8080), None)],
)
def test_the_port_is_the_one_that_leaves_no_choice(ports: tuple[int, ...], port: int | None) -> None:
    assert find_port(image(ports=ports)) == port


@pytest.mark.parametrize(
    ("check", "path"),
    [
        ("curl -f http://localhost:8080/healthz || exit 1", "/healthz"),
        ("curl -fsS 'http://127.0.0.1:8080/up?full=1'", "/up?full=1"),
        ("wget -qO- localhost:8080/health", "/health"),
        ("curl -f http://[::1]:8080", "/"),
        ("curl -f http://localhost:9000/healthz", None),
        ("curl -f http://localhost/healthz", None),
        ("curl -fk https://localhost:8080/healthz", None),
        ("curl -f http://example.com:8080/healthz", None),
        ("curl -f http://localhost.example.com:8080/healthz", None),
        ("curl -f http://localhost:8080//evil", None),
        ("pg_isready", None),
        ("", None),
    ],
)
def test_a_path_is_taken_from_a_check_that_asks_the_app_itself_by_http(check: str, path: str | None) -> None:
    assert find_health_path(image(healthcheck=("CMD-SHELL", check)), port=8080) == path


def test_a_check_on_the_usual_port_needs_no_port_in_its_address() -> None:
    assert find_health_path(image(healthcheck=("CMD", "curl", "http://localhost/ok")), port=80) == "/ok"
