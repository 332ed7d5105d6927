"""/metrics as a monitor reads it: parsed by Prometheus' own parser, and nothing of apps of others in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from deployctl import __version__
from deployctl.domain.host.access import ALL, Role
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.traffic import Counters
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.steps.options import ChangeOptions
from deployctl_web.live.switch_totals import Switches
from deployctl_web.metrics import KnownApps, _Collected, families
from tests.unit.web_world import Site, site
from tests.unit.world import SHOP, V1

BLOG = AppName("blog")
Told = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    """The shop serves v2 after v1, and a blog serves v1."""
    with site(tmp_path, "v1", "v2") as made:
        made.w.add_file(BLOG)
        upgrade(BLOG, V1, made.w.s, options=ChangeOptions())
        yield made


def scrape(made: Site, roles: dict[str, Role], **headers: str) -> str:
    secret = create_token(f"prometheus-{len(made.w.ledger.tokens())}", roles, made.w.s).secret
    answer = made.browser().get("/metrics", headers={"Authorization": f"Bearer {secret}", **headers})
    assert answer.status_code == 200
    return answer.text


def read(text: str) -> Told:
    return {(one.name, frozenset(one.labels.items())): one.value for family in parse(text) for one in family.samples}


def told(made: Site, roles: dict[str, Role] | None = None) -> Told:
    return read(scrape(made, roles or {"*": Role.VIEWER}))


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset((label.rstrip("_"), value) for label, value in labels.items())


def test_who_serves_and_who_can_be_gone_back_to(shop: Site) -> None:
    found = told(shop)
    assert found[key("deployctl_serving", app="shop", version="v2")] == 1
    assert found[key("deployctl_serving", app="shop", version="v1")] == 0
    assert found[key("deployctl_ready", app="shop", version="v1")] == 1
    assert found[key("deployctl_ready", app="shop", version="v2")] == 0
    assert found[key("deployctl_serving", app="blog", version="v1")] == 1


def test_an_app_is_in_one_state(shop: Site) -> None:
    shop.w.sick["v2"] = 503
    found = told(shop)
    states = {dict(labels)["state"]: value for (name, labels), value in found.items()
              if name == "deployctl_state" and ("app", "shop") in labels}
    assert states == {"healthy": 0, "degraded": 1, "down": 0, "deploying": 0, "not_deployed": 0, "unknown": 0}


def test_switches_are_counted_by_kind_over_the_whole_history(shop: Site) -> None:
    shop.w.rollback()
    shop.w.undo()
    found = told(shop)
    assert found[key("deployctl_switches_total", app="shop", kind="upgrade")] == 2
    assert found[key("deployctl_switches_total", app="shop", kind="rollback")] == 1
    assert found[key("deployctl_switches_total", app="shop", kind="undo")] == 1


def test_a_scrape_reads_what_was_moved_since_the_one_before(shop: Site) -> None:
    told(shop)
    shop.w.ledger.db.execute("drop trigger changes_no_delete")
    shop.w.ledger.db.execute("delete from changes")  # what was read is not read again
    shop.w.ledger.db.execute("insert into changes(id, app, revision, kind, at, actor, switch_ms) "
                             "values (1000, 'shop', 9, 'rollback', '2026-01-01T00:00:00.000Z', 'mara', 20.0)")
    found = told(shop)
    assert found[key("deployctl_switches_total", app="shop", kind="upgrade")] == 2
    assert found[key("deployctl_switches_total", app="shop", kind="rollback")] == 1
    assert found[key("deployctl_switch_seconds_bucket", app="shop", le="0.01")] == 2
    assert found[key("deployctl_switch_seconds_bucket", app="shop", le="0.025")] == 3


def test_a_ledger_that_was_put_in_its_place_is_counted_anew(shop: Site) -> None:
    path = shop.w.ledger.db.path
    shop.w.ledger.db.execute("pragma wal_checkpoint(truncate)")
    before = path.read_bytes()
    shop.w.rollback()
    assert told(shop)[key("deployctl_switches_total", app="shop", kind="rollback")] == 1
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink()
    path.with_name("copy").write_bytes(before)
    path.with_name("copy").rename(path)
    found = told(shop)
    assert found[key("deployctl_switches_total", app="shop", kind="upgrade")] == 2
    assert key("deployctl_switches_total", app="shop", kind="rollback") not in found


def test_how_long_switches_took_is_a_histogram(shop: Site) -> None:
    found = told(shop)
    assert found[key("deployctl_switch_seconds_count", app="shop")] == 2
    assert found[key("deployctl_switch_seconds_bucket", app="shop", le="+Inf")] == 2
    assert found[key("deployctl_switch_seconds_bucket", app="shop", le="0.005")] == 2
    assert found[key("deployctl_switch_seconds_sum", app="shop")] == pytest.approx(0.0002)


def test_requests_are_counted_by_version_and_class(shop: Site) -> None:
    shop.meter.counted = {
        (SHOP, 1): Counters(requests=7, answers_2xx=4, answers_3xx=1, answers_4xx=1, answers_5xx=1),
        (SHOP, 2): Counters(requests=3, answers_2xx=1, failed=2),
        (SHOP, 9): Counters(requests=3, answers_2xx=3),  # nobody remembers it
    }  # fmt: skip
    found = told(shop)
    one = {kind: found[key("deployctl_requests_total", app="shop", version="v1", class_=kind)]
           for kind in ("2xx", "3xx", "4xx", "5xx", "failed")}
    assert one == {"2xx": 4, "3xx": 1, "4xx": 1, "5xx": 1, "failed": 0}
    assert found[key("deployctl_requests_total", app="shop", version="v2", class_="failed")] == 2
    assert sum(value for (name, _), value in found.items() if name == "deployctl_requests_total") == 10


def test_two_releases_of_one_version_are_one_series(shop: Site) -> None:
    shop.w.upgrade("v2", env={"COLOUR": "red"})
    shop.meter.counted = {(SHOP, 2): Counters(answers_2xx=4), (SHOP, 3): Counters(answers_2xx=5)}
    found = told(shop)
    assert found[key("deployctl_requests_total", app="shop", version="v2", class_="2xx")] == 9
    assert found[key("deployctl_serving", app="shop", version="v2")] == 1


def test_drift_is_told(shop: Site) -> None:
    shop.w.engine.lose(next(i.name for i in shop.w.ledger.instances(SHOP)))
    assert told(shop)[key("deployctl_drift", app="shop")] == 1


def test_what_answers_is_told(shop: Site) -> None:
    assert told_of_server(shop) == {"docker": 1, "haproxy": 1}


def told_of_server(made: Site) -> dict[str, float]:
    found = told(made).items()
    return {dict(labels)["part"]: value for (name, labels), value in found if name == "deployctl_up"}


def test_an_engine_that_is_away_is_told(shop: Site) -> None:
    shop.w.engine.away = "connection refused"
    assert told_of_server(shop) == {"docker": 0, "haproxy": 1}


def test_the_version_and_the_age_of_the_reading_are_told(shop: Site) -> None:
    found = told(shop)
    assert found[key("deployctl_build_info", version=__version__)] == 1
    assert 0 <= found[key("deployctl_reading_age_seconds")] < 5


@pytest.mark.parametrize("roles", [{"shop": Role.VIEWER}, {"shop": Role.ADMIN}])
def test_who_may_see_one_app_is_told_of_that_one_only(shop: Site, roles: dict[str, Role]) -> None:
    shop.meter.counted = {(BLOG, 1): Counters(answers_2xx=4)}
    text = scrape(shop, roles)
    assert 'app="shop"' in text
    assert "blog" not in text
    assert "deployctl_up" not in text


def test_nobody_else_is_told_anything(shop: Site) -> None:
    assert shop.browser().get("/metrics").status_code in {302, 303, 401}
    answer = shop.browser().get("/metrics", headers={"Authorization": "Bearer dctl_wrong"})
    assert (answer.status_code, "deployctl_" in answer.text) == (401, False)


def test_the_open_form_is_spoken_to_who_asks_for_it(shop: Site) -> None:
    text = scrape(shop, {"*": Role.VIEWER}, Accept="application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert "deployctl_serving" in {family.name for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("asked", ["text/plain;version=x", "application/openmetrics-text; version=a.b.c", ";;;", "*/*;q=zz"])
def test_who_asks_for_a_form_that_is_none_is_answered_in_the_plain_one(shop: Site, asked: str) -> None:
    assert scrape(shop, {ALL: Role.VIEWER}, Accept=asked).startswith("# HELP")


def test_all_that_a_label_may_hold_is_escaped(shop: Site) -> None:
    """Names are checked before they get anywhere; this does not rely on it."""
    odd = 'v"1\\2\n3'
    seen = shop.web_state.status_cache.home()
    view = seen.value.apps[0]
    views = (replace(view, instances=tuple(replace(one, version=odd) for one in view.instances)),)
    registry = CollectorRegistry()
    known = KnownApps(seen, views, Switches({(SHOP, odd): 1}, {}), {(SHOP, odd): Counters(failed=1)}, server=True)
    registry.register(_Collected(list(families(known))))
    found = read(generate_latest(registry).decode())
    assert found[key("deployctl_requests_total", app="shop", version=odd, class_="failed")] == 1
    assert found[key("deployctl_switches_total", app="shop", kind=odd)] == 1


def test_every_metric_says_what_it_is(shop: Site) -> None:
    for family in parse(scrape(shop, {"*": Role.VIEWER})):
        assert family.documentation.endswith("."), family.name
        assert family.name.startswith("deployctl_")
