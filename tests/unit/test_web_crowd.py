"""Nobody can occupy all threads of the dashboard by reading, and rollbacks are never counted."""

from __future__ import annotations

from threading import Barrier, Event, Thread

import pytest

from deployctl.domain.host.access import Role
from deployctl_web.security import limits
from tests.unit.web_world import Site


def test_more_looks_of_one_person_than_that_are_refused_and_others_and_the_way_back_are_not(
        shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    go, all_in = Event(), Barrier(limits.MAX_PARALLEL_REQUESTS + 1, timeout=20)
    mara, jonas = shop.signed_in("mara"), shop.signed_in("jonas", Role.VIEWER)
    again = [shop.signed_in("mara") for _ in range(limits.MAX_PARALLEL_REQUESTS)]
    mara.get("/apps/shop")

    def slow() -> str:
        all_in.wait()
        assert go.wait(20)
        return "slow"

    from deployctl_web.security.authorization import SIGNED_IN, needs

    shop.app._got_first_request = False
    shop.app.add_url_rule("/slow", "slow", needs(SIGNED_IN)(slow))
    codes: list[int] = []
    threads = [Thread(target=lambda one=one: codes.append(one.get("/slow").status_code)) for one in again]
    for thread in threads:
        thread.start()
    all_in.wait()
    try:
        told = mara.get("/apps/shop")
        assert (told.status_code, "Retry in a moment" in told.text) == (429, True)
        assert jonas.get("/apps/shop").status_code == 200
        assert mara.post("/apps/shop/rollback", to_version="v1").status_code == 303
    finally:
        go.set()
        for thread in threads:
            thread.join(20)
    assert codes == [200] * limits.MAX_PARALLEL_REQUESTS
    assert mara.get("/apps/shop").status_code == 200
