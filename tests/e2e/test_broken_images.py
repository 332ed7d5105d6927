"""Whatever is wrong with a candidate: visitors notice nothing, the message names the cause, the next upgrade works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.contract.stub_registry import stub_registry
from tests.e2e.cli import RATE, Cli, Ran
from tests.images import RECIPES, ensure_images


@dataclass(frozen=True)
class Case:
    """What an image suffers from. `says`: what its message must name; `keys`: what else the app's file says."""

    image: str
    says: tuple[str, ...]
    health: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, Any] = field(default_factory=dict)
    evidence: str = ""  # in the transcript that the ledger keeps
    starts: bool = True  # False: it is refused before anything is made


CASES = [
    Case("neverhealthy", ("did not become healthy", "GET /healthz gave 503"), evidence="× GET /healthz gave 503"),
    Case("crash", ("exited with code 139", "segmentation fault"), health={"rise": 100, "deadline": "15s"}),
    Case("exitone", ("exited with code 3",), evidence="fatal: cannot read /etc/shop.conf"),
    Case("exitzero", ("ended by itself with exit code 0", "foreground"), evidence="nothing to do"),
    Case("needsenv", ("exited with code 1", "DATABASE_URL is not set", "[env]"), evidence="KeyError"),
    Case("wrongport", ("nothing listens on port 8080", "set port = 9090"), evidence="× connection refused"),
    Case("loopback", ("127.0.0.1:8080", "0.0.0.0"), evidence="× connection refused"),
    Case("memhog", ("ran out of memory", "32 MiB", "137"), health={"rise": 100, "deadline": "15s"},
         keys={"resources": {"memory": "32m"}}),
    Case("flaky", ("did not become healthy", "gave 500 between good answers", "never 5 in a row"), health={"rise": 5},
         evidence="GET /healthz gave 500"),
    Case("redirect", ("was redirected (302)", "redirected to https://", "health.path"), health={"status": 200}),
    Case("badentry", ("bad-badentry did not start", "the program /no/such/program does not exist in the image")),
    Case("wrongarch", ("is for", "this server is"), starts=False),
    Case("twice", ("is not responding through HAProxy", "502", "header Transfer-Encoding")),
    Case("mail", ("is not responding through HAProxy", "220 mail ESMTP", "Only HTTP/1.1 apps"),
         health={"kind": "tcp"}),
    Case("h2c", ("is not responding through HAProxy", "Only HTTP/1.1 apps"), health={"kind": "tcp"}),
    Case("dockersick", ("HEALTHCHECK", "503"), health={"kind": "docker", "deadline": "15s"}),
]


@pytest.fixture(scope="module")
def shop(cli: Cli, engine_url: str) -> Cli:
    """The app shop serves v1, with a variable that its broken candidates lack."""
    ensure_images(*((name, "v1") for name in RECIPES), ("noterm", "v2"), ("graceful", "v2"), base_url=engine_url)
    cli.serving("shop")
    return cli


def try_broken(shop: Cli, case: Case) -> Ran:
    path = {} if case.health.get("kind") in {"docker", "tcp"} else {"path": "/healthz"}
    shop.write("shop", health={**path, "deadline": "2s", **case.health}, **case.keys)
    return shop.text("upgrade", "shop", f"bad-{case.image}", "--image", f"dctl-test/{case.image}:v1")


def upgrade_to_another(shop: Cli, *, but: str | None) -> None:
    shop.write("shop")
    good = "v2" if but == "v1" else "v1"
    told = shop.do("upgrade", "shop", good)
    assert (told["confirmed"], told["failed_requests"], shop.get("shop").version) == (True, 0, good)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.image)
def test_a_broken_candidate_changes_nothing_and_tells_why(shop: Cli, case: Case) -> None:
    before = shop.settled("shop")
    serving = before["active"]["version"]
    with shop.visitors("shop") as visitors:
        ran = try_broken(shop, case)
        after = shop.settled("shop")
        upgrade_to_another(shop, but=serving)
    assert visitors.count.lost == visitors.count.app_5xx == 0
    assert set(visitors.count.by_version) <= {"v1", "v2"}

    assert ran.code == 1, ran
    assert ran.out == ""
    for word in case.says:
        assert word in ran.err
    assert f"shop {serving} is live with 100 % of traffic" in ran.err
    assert (after["revision"], after["state"]) == (before["revision"], "healthy")
    assert after["active"]["container"] == before["active"]["container"]
    require_remembered(shop, case, after)


def require_remembered(shop: Cli, case: Case, after: dict[str, Any]) -> None:
    """The ledger keeps why, and exactly one failed container is kept for a look into it."""
    version = f"bad-{case.image}"
    if not case.starts:
        shop.refused(3, "show", "shop", version)
        assert version not in {i["version"] for i in after["instances"]}
        return
    assert [i["version"] for i in after["instances"] if i["role"] == "failed"] == [version]
    attempt, shown = shop.attempts("shop")[0], shop.do("show", "shop", version)
    assert attempt == shown["last_deployment"]
    assert (attempt["phase"], shown["health_checked_at"]) == ("reverted", None)
    assert all(word in attempt["error"] for word in case.says)
    assert case.evidence in "\n".join(attempt["evidence"])
    containers = [c for c in shop.containers("shop") if c["State"] != "running"]
    assert len([c for c in containers if "--bad-" in c["Names"][0]]) == 1


def test_a_variable_that_the_active_version_has_is_named_as_the_difference(shop: Cli) -> None:
    url = shop.serving("vars", image="dctl-test/needsenv", env={"DATABASE_URL": "postgres://db/shop"})
    with shop.visitors("vars") as visitors:
        shop.write("vars")
        ran = shop.text("upgrade", "vars", "v2", "--image", "dctl-test/needsenv:v1")
    assert ran.code == 1, ran
    assert "v1 had DATABASE_URL, v2 has not" in ran.err
    assert "deployctl diff vars v1 v2" in ran.err
    assert url.rstrip("/").removeprefix("http://") in ran.err
    assert visitors.count.lost == 0
    differences = shop.do("diff", "vars", "v1", "v2")["differences"]
    assert [line["name"] for line in differences if line["sign"] == "-"] == ["DATABASE_URL"]


def test_an_image_that_the_registry_lacks_is_not_found_and_a_dead_registry_is_told_apart(shop: Cli) -> None:
    with stub_registry() as registry, shop.visitors("shop") as visitors:
        serving = shop.active("shop")
        shop.write("shop", image=f"{registry.address}/web")
        missing = shop.refused(3, "upgrade", "shop", "v9")
        registry.refusal = (401, "UNAUTHORIZED")
        closed = shop.refused(7, "upgrade", "shop", "v9")
        registry.close()
        dead = shop.refused(7, "upgrade", "shop", "v9")
        upgrade_to_another(shop, but=serving)
    assert f"{registry.address}/web:v9" in missing.message
    for ran in (closed, dead):
        assert ran.told["error"]["code"] == "registry_unavailable"
        assert registry.address in ran.message
    assert {ran.told["serving"]["version"] for ran in (missing, closed, dead)} == {serving}
    assert f"docker login {registry.address}" in closed.told["error"]["remedy"]
    assert visitors.count.lost == 0


def test_a_candidate_that_dies_under_traffic_is_left_by_itself(shop: Cli) -> None:
    """Between its death and the revert its clients are rejected; that must not last."""
    shop.serving("frail")
    with shop.visitors("frail") as visitors:
        shop.write("frail", health={"path": "/healthz", "rise": 1}, watch="8s")
        ran = shop.refused(9, "upgrade", "frail", "v2", "--image", "dctl-test/crash:v1")
        assert (shop.active("frail"), shop.get("frail").version) == ("v1", "v1")
        shop.write("frail")
        shop.do("upgrade", "frail", "v3")
    assert ran.told["serving"]["version"] == "v1"
    assert "v2 failed under traffic" in ran.message
    assert "139" in ran.message or "ended by itself and was restarted" in ran.message
    assert "was switched back" in ran.message
    assert visitors.count.lost <= RATE * 2
    assert shop.active("frail") == "v3"
    assert shop.attempts("frail")[0]["phase"] == "reverted"
    assert len([c for c in shop.containers("frail") if c["State"] != "running"]) == 1


# -- images that are unpleasant, and good enough --------------------------------------------------------------------
def test_one_that_ignores_the_stop_signal_is_killed_and_that_is_said(shop: Cli) -> None:
    shop.serving("deaf", image="dctl-test/noterm", keep_warm=0, stop_grace="1s")
    with shop.visitors("deaf") as visitors:
        told = shop.do("upgrade", "deaf", "v2")
    assert any("v1 did not stop within stop_grace (1 s) and was killed" in warning for warning in told["warnings"])
    assert visitors.count.lost == 0
    stopped = shop.text("stop", "deaf", "v2", "-y")
    assert (stopped.code, "was killed" in stopped.err) == (0, True), stopped


def test_an_open_request_survives_upgrade_and_retirement(shop: Cli) -> None:
    shop.serving("patient", image="dctl-test/graceful", keep_warm=0, drain="10s")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(shop.get, "patient", "/slow?s=4")
        told = shop.do("upgrade", "patient", "v2")
    assert (slow.result().status, slow.result().version) == (200, "v1")
    assert [step["kind"] for step in told["steps"]][-2:] == ["drain", "stop"]
    assert told["total_ms"] > 3000, "the upgrade did not wait for the open request"
    assert shop.active("patient") == "v2"
    assert [c["State"] for c in shop.containers("patient") if "--v1--" in c["Names"][0]] == ["exited"]


@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept connections", "a connection each"])
def test_nothing_is_lost_when_nothing_stays_warm(shop: Cli, *, keep_alive: bool) -> None:
    app = "lean-kept" if keep_alive else "lean-fresh"
    shop.serving(app, keep_warm=0)
    with shop.visitors(app, 100, keep_alive=keep_alive) as visitors:
        for version in ("v2", "v3", "v1"):
            assert shop.do("upgrade", app, version)["standby"] is None
        assert shop.do("rollback", app, "-y")["to"] == "v3"
    assert visitors.count.lost == 0
    assert {"v1", "v2", "v3"} == set(visitors.count.by_version)
    assert [c["State"] for c in shop.containers(app)].count("running") == 1


@pytest.fixture(scope="module", autouse=True)
def _closing_word(shop: Cli) -> Iterator[None]:
    """After all that failed, nothing of it runs."""
    yield
    assert [c["Names"] for c in shop.containers() if "--bad-" in c["Names"][0] and c["State"] == "running"] == []

