"""Logins come from Docker's config.json and its helpers, and whatever is wrong with those is reported by name."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deployctl.effects.docker.errors import pull_failure
from deployctl.effects.docker.login import Login, LoginFault, find_login
from deployctl.errors import NotFound

HERE = "registry.example.com:5000"


def home(tmp_path: Path, config: object) -> dict[str, str]:
    """Write config.json and return an environment whose PATH has a folder for helpers alone, and /bin."""
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    (tmp_path / "bin").mkdir()
    return {"HOME": str(tmp_path), "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}


def helper(tmp_path: Path, name: str, script: str) -> None:
    program = tmp_path / "bin" / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def opened(login: Login) -> Mapping[str, Any]:
    assert login.header is not None
    told: dict[str, Any] = json.loads(base64.urlsafe_b64decode(login.header))
    return told


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(("registry", "key"), [
    (HERE, HERE), (HERE, f"https://{HERE}"), (HERE, f"https://{HERE}/v2/"),
    ("docker.io", "https://index.docker.io/v1/"), ("docker.io", "docker.io"),
])
def test_a_login_that_docker_login_wrote_is_used(tmp_path: Path, registry: str, key: str) -> None:
    environ = home(tmp_path, {"auths": {"other.example.com": {"auth": packed("x:y")}, key: {"auth": packed("mara:a:b")}}})
    told = opened(find_login(registry, environ))
    assert (told["username"], told["password"]) == ("mara", "a:b")


def test_an_identity_token_is_handed_on(tmp_path: Path) -> None:
    environ = home(tmp_path, {"auths": {HERE: {"identitytoken": "t0k"}}})
    assert opened(find_login(HERE, environ)) == {"identitytoken": "t0k"}


def test_docker_config_names_another_folder(tmp_path: Path) -> None:
    environ = home(tmp_path, {"auths": {HERE: {"auth": packed("mara:x")}}})
    elsewhere = {"HOME": "/nowhere", "DOCKER_CONFIG": str(tmp_path / ".docker"), "PATH": environ["PATH"]}
    assert opened(find_login(HERE, elsewhere))["username"] == "mara"


@pytest.mark.parametrize("config", [{}, {"auths": {}}, {"auths": {HERE: {}}}, {"auths": None}, {"auths": {HERE: "x"}},
                                    {"credHelpers": {"other.example.com": "nowhere"}}])
def test_without_a_login_for_this_registry_nothing_is_wrong(tmp_path: Path, config: object) -> None:
    assert find_login(HERE, home(tmp_path, config)) == Login()


def test_without_the_file_nothing_is_wrong(tmp_path: Path) -> None:
    assert find_login(HERE, {"HOME": str(tmp_path)}) == Login()


@pytest.mark.parametrize("config", [{"credsStore": "vault"}, {"credHelpers": {HERE: "vault"}, "credsStore": "nowhere"}])
def test_a_helper_is_asked_for_this_registry(tmp_path: Path, config: object) -> None:
    environ = home(tmp_path, config)
    helper(tmp_path, "vault", f'[ "$1" = get ] && [ "$(cat)" = {HERE} ] && echo \'{{"Username": "mara", "Secret": "s"}}\'')
    assert opened(find_login(HERE, environ)) == {"username": "mara", "password": "s"}


def test_a_helper_may_give_a_token(tmp_path: Path) -> None:
    environ = home(tmp_path, {"credsStore": "vault"})
    helper(tmp_path, "vault", 'echo \'{"Username": "<token>", "Secret": "s"}\'')
    assert opened(find_login(HERE, environ)) == {"identitytoken": "s"}


@pytest.mark.parametrize("script", ["echo credentials not found in native keychain; exit 1",
                                    'echo \'{"Username": "", "Secret": ""}\''])
def test_a_helper_without_a_login_leaves_it_to_the_file(tmp_path: Path, script: str) -> None:
    environ = home(tmp_path, {"credsStore": "vault", "auths": {HERE: {"auth": packed("mara:x")}}})
    helper(tmp_path, "vault", script)
    assert opened(find_login(HERE, environ))["username"] == "mara"


@pytest.mark.parametrize(("config", "script", "code"), [
    ({"credsStore": "desktop"}, None, LoginFault.HELPER_MISSING),
    ({"credHelpers": {HERE: "../../evil"}}, None, LoginFault.HELPER_MISSING),
    ({"credsStore": "vault"}, "echo locked >&2; exit 3", LoginFault.HELPER_FAILED),
    ({"credsStore": "vault"}, "echo hello", LoginFault.HELPER_FAILED),
    ("{ not json", None, LoginFault.CONTENT),
    ([1], None, LoginFault.CONTENT),
    ({"auths": {HERE: {"auth": "%%%"}}}, None, LoginFault.CONTENT),
    ({"auths": {HERE: {"auth": packed("nocolon")}}}, None, LoginFault.CONTENT),
])
def test_what_is_wrong_is_told_where_the_registry_refuses(
    tmp_path: Path, config: object, script: str | None, code: LoginFault,
) -> None:
    environ = home(tmp_path, config)
    if script:
        helper(tmp_path, "vault", script)
    login = find_login(HERE, environ)
    assert login.header is None
    assert login.problem is not None
    assert login.problem.code is code
    refused = pull_failure(f"{HERE}/acme/shop:v1", HERE, "pull access denied for shop", address="unix:///x", login=login)
    assert isinstance(refused, NotFound)
    assert refused.code == code
    assert str(tmp_path / ".docker/config.json") in refused.message
    assert (login.problem.helper or "config.json") in refused.message
    assert any("config.json" in line for line in refused.remedy)
    assert "Error(" not in refused.message


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    environ = home(tmp_path, {})
    file = tmp_path / ".docker/config.json"
    file.unlink()
    file.mkdir()
    problem = find_login(HERE, environ).problem
    assert problem is not None
    assert problem.code is LoginFault.FILE
