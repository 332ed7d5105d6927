"""Whose home is it: root works as its owner, and what belongs to several users is refused with all of them named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployctl.config.owners import Owners, choose, require_named
from deployctl.config.settings import Settings, as_user
from deployctl.errors import NotPermitted
from deployctl.usecases.setup.install import InstallOptions, unit_text

HOME = Settings(Path("/srv/deploy"))
DEPLOY, OTHER = 12345, 12346


@pytest.mark.parametrize(("owners", "sudo", "chosen"), [
    (Owners(0, 0, 0, 7), None, 0),
    (Owners(), None, 0),
    (Owners(DEPLOY, DEPLOY, DEPLOY, 7), None, DEPLOY),
    (Owners(DEPLOY, DEPLOY), OTHER, DEPLOY),
    (Owners(DEPLOY, None), None, DEPLOY),
    (Owners(None, DEPLOY), None, DEPLOY),  # nothing was deployed yet
    (Owners(None, DEPLOY), DEPLOY, 0),  # a user with sudo has always been trusted with the files of a home of root's
    (Owners(0, DEPLOY, 0, 7), DEPLOY, 0),
])
def test_root_works_as_the_owner_of_the_home(owners: Owners, sudo: int | None, chosen: int) -> None:
    assert choose(owners, HOME, sudo=sudo) == chosen


@pytest.mark.parametrize(("owners", "right"), [
    (Owners(0, DEPLOY, DEPLOY, 7), DEPLOY),
    (Owners(DEPLOY, DEPLOY, 0, 7), 0),
    (Owners(DEPLOY, OTHER, DEPLOY, 7), DEPLOY),
    (Owners(DEPLOY, OTHER), DEPLOY),
    (Owners(0, DEPLOY), 0),
])
def test_what_belongs_to_several_users_is_refused_and_all_are_named(owners: Owners, right: int) -> None:
    with pytest.raises(NotPermitted) as told:
        choose(owners, HOME, sudo=None)
    for uid in owners.several:
        assert f"uid {uid}" in told.value.message
    assert ("HAProxy (pid 7)" in told.value.message) is (owners.proxy is not None)
    assert f"sudo chown -R {right} /srv/deploy/state /srv/deploy/config" in told.value.remedy
    assert told.value.code == "several_owners"


def test_a_home_of_root_with_a_haproxy_of_the_deploy_user_is_refused_whoever_typed_sudo() -> None:
    with pytest.raises(NotPermitted):
        choose(Owners(0, DEPLOY, DEPLOY, 7), HOME, sudo=DEPLOY)


def test_a_user_without_a_name_is_refused_with_what_to_type() -> None:
    with pytest.raises(NotPermitted) as told:
        require_named(DEPLOY, HOME)
    assert told.value.remedy == ["sudo -u '#12345' deployctl --home /srv/deploy status"]
    assert (as_user(0), as_user(DEPLOY)) == ("sudo", "sudo -u '#12345'")
    assert require_named(0, HOME).pw_name == "root"


@pytest.mark.parametrize(("options", "line"), [
    (InstallOptions(user=False, run_as="deploy"), "User=deploy\n"),
    (InstallOptions(user=False), None),
    (InstallOptions(user=True, run_as="deploy"), None),
])
def test_the_unit_runs_as_the_owner_of_the_home(options: InstallOptions, line: str | None) -> None:
    text = unit_text(HOME.home, options, {})
    assert ("User=" in text) is (line is not None)
    assert line is None or line in text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_whose_the_state_is_is_said_as_it_is(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    settings.ensure_state()
    os.chown(settings.state_dir, DEPLOY, DEPLOY)
    with pytest.raises(NotPermitted, match="belongs to another user"):
        settings.ensure_state()
