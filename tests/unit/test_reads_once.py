"""What is asked about all apps is read once for all of them: counts of readings at two sizes, never times."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path

import pytest

from deployctl.config.app import AppSpec, parse_app_spec
from deployctl.config.cache import load_judged_app, load_judged_apps
from deployctl.config.clashes import clashes
from deployctl.config.loader import load_app
from deployctl.config.settings import Settings
from deployctl.domain.host.networks import cut
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.images.release import App
from deployctl.domain.inputs.app_spec import AppFile
from deployctl.domain.inputs.names import AppName
from deployctl.effects.linux.guard import LinuxGuard
from deployctl.errors import DeployctlError, Refused
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.drift import look_at_home
from deployctl.usecases.setup.doctor import findings
from tests.counting import calls
from tests.unit.world import SHOP, V1, World, world

SIZES = (4, 16)


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    for folder in ("config", "state"):
        (tmp_path / folder).mkdir(mode=0o700)
    return Settings(tmp_path)


def write(here: Settings, name: str, **keys: str) -> None:
    told = {"image": f'"acme/{name}"', "port": "8080", **keys}
    here.app_file(AppName(name)).write_text("".join(f"{key} = {value}\n" for key, value in told.items()))


def judged(here: Settings, now: dict[AppName, App] | None = None) -> dict[AppName, AppFile | DeployctlError]:
    return load_judged_apps(here, ServerSpec(), now=(now or {}).get)


def one_by_one(here: Settings, now: dict[AppName, App] | None = None) -> dict[AppName, AppFile | DeployctlError]:
    found: dict[AppName, AppFile | DeployctlError] = {}
    for app in judged(here):
        try:
            found[app] = load_judged_app(here, app, ServerSpec(), now=lambda app=app: (now or {}).get(app))  # type: ignore[misc]
        except DeployctlError as e:
            found[app] = e
    return found


def told(found: dict[AppName, AppFile | DeployctlError]) -> dict[AppName, object]:
    return {app: (type(one), one.message, one.remedy, one.details) if isinstance(one, DeployctlError) else one
            for app, one in found.items()}


def forget(here: Settings) -> None:
    for kept in here.state_dir.glob("app-*.json"):
        kept.unlink()


# -- files ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def mixed(here: Settings) -> Settings:
    """Right files and wrong ones, two that claim one port, two that claim one name, and one that the server has."""
    write(here, "right", listen="8000", drain='"5s"')
    write(here, "twin-a", listen="8001")
    write(here, "twin-b", listen='"0.0.0.0:8001"')
    write(here, "name-a", host='"a.test"')
    write(here, "name-b", host='["b.test", "a.test"]')
    write(here, "inside", listen="20005")
    write(here, "unknown", listen="8009", colour='"red"')
    write(here, "claims", listen="8000", colour='"red"')  # of a wrong file nothing is claimed
    write(here, "hoards", listen="8010", keep_stopped="234", keep_warm="9")
    here.app_file(AppName("broken")).write_text("image = ")
    here.app_file(AppName("link")).symlink_to("right.toml")
    return here


def test_all_files_are_judged_as_each_is_alone(mixed: Settings) -> None:
    alone = told(one_by_one(mixed))
    forget(mixed)
    assert told(judged(mixed)) == alone
    assert told(judged(mixed)) == alone, "the kept verdicts say otherwise"
    wrong = {app for app, one in judged(mixed).items() if isinstance(one, DeployctlError)}
    assert wrong == {"twin-a", "twin-b", "name-a", "name-b", "inside", "unknown", "claims", "hoards", "broken", "link"}


def test_an_app_that_keeps_what_it_has_is_judged_as_it_is_alone(mixed: Settings) -> None:
    spec = load_app(mixed, AppName("twin-a"))
    now = {AppName("twin-a"): App(AppName("twin-a"), "", "", "", "", listen=spec.listen, hosts=spec.hosts)}
    found = judged(mixed, now)
    assert told(found) == told(one_by_one(mixed, now))
    assert isinstance(found[AppName("twin-a")], AppFile)
    assert isinstance(found[AppName("twin-b")], DeployctlError)


def test_a_verdict_that_was_kept_counts_for_exactly_these_texts(mixed: Settings) -> None:
    judged(mixed)
    write(mixed, "twin-b", listen="8002")
    found = judged(mixed)
    assert isinstance(found[AppName("twin-a")], AppFile)
    assert isinstance(found[AppName("twin-b")], AppFile)
    write(mixed, "right", listen="8001")
    found = judged(mixed)
    assert isinstance(found[AppName("twin-a")], DeployctlError)
    assert isinstance(found[AppName("right")], DeployctlError)


def test_where_the_home_is_not_believed_no_file_of_it_is(mixed: Settings) -> None:
    mixed.config_dir.chmod(0o777)
    assert told(judged(mixed)) == told(one_by_one(mixed))
    assert all(isinstance(one, DeployctlError) for one in judged(mixed).values())


@pytest.mark.parametrize("apps", SIZES)
def test_each_file_is_read_and_parsed_once_for_all_apps(here: Settings, apps: int) -> None:
    for number in range(apps):
        write(here, f"app-{number}", listen=str(9000 + number))
    counted = ("toml_text.read_text", "toml_text.parse_toml", "trusted_files.require_believed_home")
    cold, warm = (calls(lambda: judged(here), *counted) for _ in range(2))
    assert cold == dict(zip(counted, (apps, apps, 1), strict=True))
    assert warm == dict(zip(counted, (apps, 0, 1), strict=True))


# -- decisions ------------------------------------------------------------------------------------------------------
def specs(seed: int) -> dict[AppName, AppSpec]:
    dice = random.Random(seed)
    found = {}
    for number in range(12):
        hosts = dice.sample(["a.test", "b.test", "c.test", "d.test"], dice.randint(0, 2))
        listen = dice.choice(["127.0.0.1", "0.0.0.0", "127.0.0.2"]) + f":{dice.randint(8000, 8004)}"
        keys = {"listen": listen} if not hosts or dice.random() < 0.5 else {}
        name = AppName(f"app-{number}")
        found[name] = parse_app_spec({"image": "acme/x", "port": 80, **keys, **({"host": hosts} if hosts else {})}, where=name)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_the_clashes_of_many_are_those_of_each_two(seed: int) -> None:
    some, server = specs(seed), ServerSpec()
    each_two = [clash for a, b in combinations(sorted(some), 2) for clash in clashes({a: some[a], b: some[b]}, server)
                if len(clash.apps) == 2]
    assert [clash for clash in clashes(some, server) if len(clash.apps) == 2] == each_two


def test_apps_that_have_nothing_in_common_are_not_held_against_each_other() -> None:
    spec = next(iter(specs(0).values()))
    many = {AppName(f"app-{n}"): replace_listen(spec, 8100 + n) for n in range(100)}
    assert calls(lambda: clashes(many, ServerSpec()), "clashes._between") == {"clashes._between": 0}


def replace_listen(spec: AppSpec, port: int) -> AppSpec:
    return spec.model_copy(update={"listen": ("127.0.0.1", port), "hosts": ()})


@pytest.mark.parametrize("seed", range(30))
def test_the_first_free_subnet_is_the_one_that_trying_each_finds(seed: int) -> None:
    dice = random.Random(seed)
    pool = IPv4Network(dice.choice(["10.9.0.0/20", "10.9.0.0/22", "10.9.0.0/24"]))
    taken = [str(IPv4Network((int(pool[0]) + dice.randrange(-512, pool.num_addresses), length), strict=False))
             for length in dice.choices([22, 24, 25, 26, 28], k=dice.randint(0, 24))]
    others = [IPv4Network(one) for one in taken]
    free = (subnet for prefix in (max(p, pool.prefixlen) for p in (24, 25, 26))
            for subnet in pool.subnets(new_prefix=prefix) if not any(subnet.overlaps(other) for other in others))
    expected = next(map(str, free), None)
    if expected is None:
        with pytest.raises(Refused):
            cut(str(pool), taken)
    else:
        assert cut(str(pool), taken)[0] == expected


def test_a_subnet_is_found_without_holding_each_against_each() -> None:
    taken = [str(IPv4Network((int(IPv4Network("172.28.0.0/14")[0]) + 256 * n, 24))) for n in range(600)]
    assert calls(lambda: cut("172.28.0.0/14", taken), "ipaddress.overlaps")["ipaddress.overlaps"] <= len(taken)


# -- the world ------------------------------------------------------------------------------------------------------
@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def with_apps(w: World, apps: int) -> World:
    for app in [SHOP, *(AppName(f"app-{number}") for number in range(apps - 1))]:
        if app != SHOP:
            w.add_file(app)
        upgrade(app, V1, w.s)
    return w


@pytest.mark.parametrize("apps", SIZES)
def test_the_doctor_reads_each_source_once_for_all_apps(w: World, apps: int) -> None:
    s = with_apps(w, apps).s
    counted = ("fake_engine.containers", "fake_guard.neighbours", "fake_guard.routed_subnets", "fake_traffic.drift",
               "apps.kept_releases")
    found = calls(lambda: findings(s), *counted)
    assert found == dict.fromkeys(counted, 1)
    assert calls(lambda: findings(s), "instances.instances")["instances.instances"] <= 5


@pytest.mark.parametrize("apps", SIZES)
def test_a_look_at_the_home_reads_the_hosts_routes_once_for_all_apps(w: World, apps: int) -> None:
    with_apps(w, apps)
    s = replace(w.s, guard=LinuxGuard())
    assert calls(lambda: look_at_home(s), "guard._guarded") == {"guard._guarded": 1}
