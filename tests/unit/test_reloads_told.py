"""What HAProxy closed by reloading is reported where open connections are: at once, by status, doctor, page, API and
metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployctl.cli.rendering.status import instances_table
from deployctl.cli.terminal import TerminalStyle
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.request_counts import Totals, carried_on
from deployctl.domain.proxy.traffic import Counters, Precision, closed_text
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.setup.doctor import findings
from deployctl.usecases.view.status import status
from tests.unit.web_world import site
from tests.unit.world import SHOP, V1, V2, YES, World, world

BLOG = AppName("blog")


def test_closed_connections_outlive_the_worker_and_what_is_counted_after_them() -> None:
    living = {(SHOP, 1): Counters(requests=5, in_flight=2, failed=1, precision=Precision.AT_MOST)}
    totals = carried_on(Totals(), {"a": living}, alive={"a"}).with_closed({(SHOP, 1): 2, (BLOG, 3): 1})
    totals = carried_on(totals, {"b": {(SHOP, 1): Counters(requests=1)}}, alive={"b"}).with_closed({(SHOP, 1): 1})
    shop, blog = totals.sum()[SHOP, 1], totals.sum()[BLOG, 3]
    assert (shop.closed, shop.requests, shop.failed, shop.in_flight, shop.precision) == (3, 6, 1, 0, Precision.AT_MOST)
    assert (blog.closed, blog.requests) == (1, 0)


@pytest.mark.parametrize(("connections", "words"), [(1, "closed 1 long connection "), (7, "closed 7 long connections ")])
def test_one_and_several_are_told_apart(connections: int, words: str) -> None:
    assert words in closed_text(connections)


def test_the_command_whose_reload_closed_them_says_so(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upgraded(V1)
        w.edit(listen=8077)
        w.traffic.close_with_next_reload(4)
        upgrade(SHOP, V2, w.s, options=YES)
        assert [text for text in w.told.warnings if text == closed_text(4)] == [closed_text(4)]


def test_so_does_one_that_only_moves_the_address_and_one_that_removes_an_app(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upgraded(V1)
        w.edit(listen=8077)
        w.traffic.close_with_next_reload(4)
        upgrade(SHOP, V1, w.s, options=YES)
        assert closed_text(4) in w.told.warnings
        w.told.warnings.clear()
        sync, closed = w.traffic.sync, iter([0, 5])  # the address goes with the app, by the second of two
        w.traffic.sync = lambda: sync() or next(closed)  # type: ignore[method-assign]
        remove_app(SHOP, w.s, options=YES)
        assert closed_text(5) in w.told.warnings


def counted(w: World, closed: int) -> None:
    w.traffic.count(SHOP, 1, Counters(requests=9, answers_2xx=9, closed=closed))


def test_status_and_doctor_tell_how_many_there_were(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upgraded(V1)
        for closed, cell, text in ((0, "0", "pid 4242"), (3, "0, 3 closed", "have closed 3 long connections")):
            counted(w, closed)
            [app] = status(w.s).apps
            assert app.active is not None
            assert app.active.closed_connections == closed
            table = instances_table(app, TerminalStyle(width=200))
            assert cell in table.rows[0]
            [proxy] = [found for found in findings(w.s) if found.name == "HAProxy"]
            assert proxy.ok
            assert text in proxy.message


def test_page_api_and_metrics_tell_it(tmp_path: Path) -> None:
    with site(tmp_path, "v1") as made:
        counted(made.w, 3)
        made.meter.counted = {(SHOP, 1): Counters(closed=3)}
        mara = made.signed_in("mara")
        assert "3 long-lived connections closed by reloads" in mara.get("/apps/shop/versions/v1").text
        told = mara.get("/api/v1/apps/shop").get_json()
        assert told["apps"][0]["instances"][0]["closed_connections"] == 3
        assert 'deployctl_closed_connections_total{app="shop",version="v1"} 3.0' in mara.get("/metrics").text
