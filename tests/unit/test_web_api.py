"""The API does what the command line does, at the revision that was seen, and says why when it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.host.access import Role
from deployctl.errors import DeployctlError, EngineUnavailable
from deployctl.usecases.access.tokens import list_tokens
from deployctl.usecases.access.users import list_users
from deployctl.usecases.change.hold import hold
from deployctl.usecases.listings import AuditLog, count_sessions, with_state
from deployctl.usecases.results import Moved
from deployctl.usecases.view.audit import audit
from deployctl.usecases.view.diff import diff
from deployctl.usecases.view.history import history
from deployctl.usecases.view.show import show
from deployctl.usecases.view.status import status
from deployctl.usecases.views import as_json
from deployctl_web.live.jobs import Job
from deployctl_web.state import MAX_CHANGES_A_MINUTE
from tests.unit.api_world import Json, Program, do_instead, problem, script, slow
from tests.unit.web_world import HERE, Site
from tests.unit.world import SHOP, V1, V2, runnable, world


@pytest.fixture
def ci(shop: Site) -> Program:
    return Program(shop)


# -- the same answers as the command line -------------------------------------------------------------------------------
def test_what_is_read_is_what_the_command_line_reads(shop: Site, ci: Program) -> None:
    s = shop.w.s
    pairs: dict[str, Callable[[], Json]] = {
        "apps": lambda: as_json(status(s)),
        "apps/shop": lambda: as_json(status(s, app=SHOP)),
        "apps/shop/history": lambda: as_json(history(SHOP, s)),
        "apps/shop/history?limit=1": lambda: as_json(history(SHOP, s, limit=1)),
        "apps/shop/versions/v1": lambda: as_json(show(SHOP, V1, s)),
        "apps/shop/diff?from=v1&to=v2": lambda: as_json(diff(SHOP, V1, V2, s)),
        "apps/shop/diff?from=v1": lambda: as_json(diff(SHOP, V1, None, s)),
        "audit?limit=3": lambda: as_json(AuditLog(audit(s, limit=3))),
        "audit?app=shop&kind=upgrade": lambda: as_json(AuditLog(audit(s, app=SHOP, kind="upgrade"))),
        "users": lambda: as_json(count_sessions(list_users(s), [])),
        "tokens": lambda: as_json(with_state(list_tokens(s), now=s.clock.utc())),
    }
    for path, expected in pairs.items():
        answer = ci.get(path)
        assert (answer.status_code, answer.mimetype) == (200, "application/json"), path
        assert answer.get_json() == plain(expected()), path


def plain(body: Json) -> Any:
    """Return it as JSON has it: no tuples, no words of an enum."""
    return json.loads(json.dumps(body))


def without_ids(body: Any) -> Any:
    """Leave out what steps say: there are names of containers in it, and those are of one home."""
    return {**body, "steps": [{**step, "sentence": "", "message": ""} for step in body["steps"]]}


MOVES: list[tuple[str, Json]] = [("rollback", {"to_version": "v1", "note": "slow"}), ("undo", {}),
                                 ("upgrade", {"version": "v3"})]


@pytest.mark.parametrize(("verb", "body"), MOVES)
def test_what_is_moved_is_answered_as_the_command_line_answers(shop: Site, ci: Program, tmp_path: Path, verb: str,
                                                               body: Json) -> None:
    (tmp_path / "twin").mkdir()
    with world(tmp_path / "twin") as twin:
        twin.upgraded("v1", "v2")
        act: dict[str, Callable[[], Moved]] = {
            "rollback": lambda: twin.rollback("v1", note="slow"), "undo": twin.undo, "upgrade": lambda: twin.upgrade("v3")}
        expected = as_json(act[verb]())
    answer = ci.post(f"apps/shop/{verb}", body, at=2)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"3"')
    assert without_ids(answer.get_json()) == without_ids(plain(expected))
    assert shop.w.ledger.changes(SHOP)[0].actor == "ci (token)"


def test_what_moves_nothing_is_answered_so_too(shop: Site, ci: Program) -> None:
    for verb, body, sentence in (
            ("hold", {"version": "v1", "note": "bad"}, "shop v1 is on hold: it cannot be deployed again"),
            ("unhold", {"version": "v1"}, "shop v1 can be deployed"),
            ("stop", {"version": "v1"}, "shop v1 was stopped, its container is kept; v2 is still live"),
            ("start", {"version": "v1"}, "shop v1 runs on 127.0.0.1:20000, without traffic"),
            ("abort", {}, "nothing is in progress for shop")):
        told = ci.post(f"apps/shop/{verb}", body).get_json()
        assert (told["schema"], told["ok"], told["app"], told["summary"]) == ("deployctl/v1", True, "shop", sentence)
    assert ci.post("apps/shop/prune", {"yes": True}).get_json()["kind"] == "Prune"


def test_logs_have_their_versions_and_can_be_searched(ci: Program) -> None:
    told = ci.get("apps/shop/logs?tail=5&since=10m&grep=nothing-like-this&version=v1").get_json()
    assert told == {"schema": "deployctl/v1", "kind": "Logs", "app": "shop", "lines": []}


def test_a_deployment_is_told_step_by_step(shop: Site, ci: Program) -> None:
    listed = ci.get("apps/shop/deployments").get_json()["deployments"]
    assert [one["action"] for one in listed] == ["upgrade", "upgrade"]
    told = ci.get(f"deployments/{listed[0]['id']}").get_json()
    assert told["deployment"] == listed[0]
    assert "switch" in [step["kind"] for step in told["steps"]]
    assert all(step["ok"] for step in told["steps"])


def test_the_server_tells_what_doctor_finds(ci: Program) -> None:
    told = ci.get("server").get_json()
    assert told["kind"] == "Doctor"
    assert {"engine", "HAProxy", "ledger", "disk"} <= {one["name"] for one in told["findings"]}


# -- at the revision that was seen --------------------------------------------------------------------------------------
def test_the_tag_of_an_app_is_the_condition_of_the_next_change(shop: Site, ci: Program) -> None:
    tag = ci.get("apps/shop").headers["ETag"]
    assert tag == '"2"'
    assert ci.post("apps/shop/rollback", {"to_version": "v1"}, at=tag).status_code == 200
    told = problem(ci.post("apps/shop/rollback", {"to_version": "v1"}, at=tag), 412, "state_changed")
    assert "switched by ci (token) to v1" in told["detail"]
    assert told["serving"]["version"] == "v1"
    assert told["remedy"] == ["deployctl status shop"]
    assert ci.get("apps/shop").headers["ETag"] == '"3"'


@pytest.mark.parametrize("at", ["3", '"3"'])
def test_a_revision_may_be_written_with_or_without_quotes(shop: Site, ci: Program, at: str) -> None:
    assert ci.post("apps/shop/rollback", {"to_version": "v1"}, at=at).status_code == 412
    assert shop.w.serving == "v2"


@pytest.mark.parametrize("at", ["", "x", "-2", 'W/"2"', '"2", "3"', '""', "2.0", "\u0662", "2" * 13, "* "])
def test_what_is_no_revision_does_nothing(shop: Site, ci: Program, at: str) -> None:
    if at == "* ":  # the server strips it: any revision
        assert ci.post("apps/shop/rollback", {"to_version": "v1"}, at="*").status_code == 200
        return
    problem(ci.ask("POST", "apps/shop/rollback", {"to_version": "v1"}, at=at.encode().decode("latin-1")), 400, "invalid")
    assert shop.w.serving == "v2"


def test_a_program_may_leave_the_revision_out_and_a_page_may_not(shop: Site, ci: Program) -> None:
    mara = shop.signed_in("mara")
    for verb, body in (("rollback", {"to_version": "v1"}), ("undo", {}), ("upgrade", {"version": "v3"}),
                       ("stop", {"version": "v2"})):
        problem(script(mara, "POST", f"apps/shop/{verb}", body), 428, "precondition_required")
        problem(script(mara, "POST", f"apps/shop/{verb}", body, **{"If-Match": "*"}), 428, "precondition_required")
    assert shop.w.serving == "v2"
    assert script(mara, "POST", "apps/shop/rollback", {"to_version": "v1"}, **{"If-Match": '"2"'}).status_code == 200
    assert script(mara, "POST", "apps/shop/abort", {}).status_code == 200
    assert script(mara, "POST", "apps/shop/hold", {"version": "v1"}).status_code == 200
    assert ci.post("apps/shop/undo").status_code == 200
    assert shop.w.serving == "v2"


def test_a_page_needs_its_token_and_its_own_origin(shop: Site) -> None:
    mara = shop.signed_in("mara")
    assert script(mara, "POST", "apps/shop/abort", {}).status_code == 200
    for wrong in ({"X-CSRFToken": ""}, {"X-CSRFToken": "x"}, {"Origin": "https://evil.example"},
                  {"Sec-Fetch-Site": "cross-site"}):
        problem(script(mara, "POST", "apps/shop/rollback", {"to_version": "v1"}, **{"If-Match": '"2"', **wrong}), 403, "forged")
    assert shop.w.serving == "v2"


# -- what takes long ----------------------------------------------------------------------------------------------------
def test_what_takes_long_is_answered_with_where_to_ask(shop: Site, ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    with slow(shop, monkeypatch, "upgrade") as go:
        answer = ci.post("apps/shop/upgrade", {"version": "v3"}, at=2)
        told = answer.get_json()
        assert (answer.status_code, told["kind"], told["done"], told["action"]) == (202, "Operation", False, "upgrade")
        assert answer.location == f"/api/v1/operations/{told['id']}"
        assert ci.get(answer.location).get_json()["done"] is False
        go.set()
        assert shop.web_state.jobs.find(told["id"]).wait(20)  # type: ignore[union-attr]  # it is there
    ended = ci.get(answer.location).get_json()
    assert (ended["done"], ended["error"], ended["result"]["to"]) == (True, None, "v3")
    assert ended["deployment"] == shop.w.ledger.deployments(SHOP)[0].id


def test_whoever_waits_is_answered_as_if_it_had_been_quick(shop: Site, ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    with slow(shop, monkeypatch, "upgrade") as go:
        def wait(job: Job) -> bool:
            go.set()
            return job.wait(20)

        monkeypatch.setattr("deployctl_web.api.routes_change.wait_for", wait)
        answer = ci.post("apps/shop/upgrade", {"version": "v3"}, wait=30)
    assert (answer.status_code, answer.get_json()["kind"], answer.headers["ETag"]) == (200, "Upgrade", '"3"')


def test_waiting_ends_after_so_many_seconds(shop: Site, ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    with slow(shop, monkeypatch, "upgrade"):
        assert ci.post("apps/shop/upgrade", {"version": "v3"}, wait=1).status_code == 202


def test_waiting_takes_not_all_threads_of_the_server(shop: Site, ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    from deployctl_web.api.headers import WAITERS, waiting

    for _ in range(WAITERS):
        waiting.acquire()
    try:
        with slow(shop, monkeypatch, "upgrade"):
            assert ci.post("apps/shop/upgrade", {"version": "v3"}, wait=60).status_code == 202
    finally:
        for _ in range(WAITERS):
            waiting.release()


def test_a_failure_is_told_to_whoever_waits_and_to_whoever_asks_later(shop: Site, ci: Program,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    shop.w.sick["v3"] = 500
    told = problem(ci.post("apps/shop/upgrade", {"version": "v3"}, wait=20), 409, "not_healthy")
    assert told["serving"]["version"] == "v2"
    assert any("gave 500" in line for line in [told["detail"], *told["details"]])
    with slow(shop, monkeypatch, "upgrade") as go:
        operation = ci.post("apps/shop/upgrade", {"version": "v3"}).get_json()["id"]
        go.set()
        assert shop.web_state.jobs.find(operation).wait(20)  # type: ignore[union-attr]  # it is there
    ended = ci.get(f"operations/{operation}").get_json()
    assert (ended["done"], ended["result"], ended["error"]["code"]) == (True, None, "not_healthy")
    assert ended["error"]["serving"]["version"] == "v2"


def test_an_operation_that_is_not_known_is_not_there(ci: Program) -> None:
    for one in ("0" * 16, "..", "x"):
        assert ci.get(f"operations/{one}").status_code == 404


# -- refusals -----------------------------------------------------------------------------------------------------------
def test_a_question_is_asked_first_and_can_be_answered_beforehand(shop: Site, ci: Program) -> None:
    told = problem(ci.post("apps/shop/stop", {"version": "v2"}), 409, "confirmation_needed")
    assert told["detail"].endswith("Stop it?")
    assert told["revision"] == 2
    assert told["remedy"] == ['confirm beforehand: retry with "yes": true']
    assert ci.post("apps/shop/stop", {"version": "v2", "yes": True}).status_code == 200
    assert shop.w.serving is None


def test_a_version_on_hold_is_refused_with_the_way_out(shop: Site, ci: Program) -> None:
    shop.w.use(hold, V1, note="loses orders")
    told = problem(ci.post("apps/shop/rollback", {"to_version": "v1"}), 409, "on_hold")
    assert "loses orders" in told["detail"]
    assert "deployctl unhold shop v1" in told["remedy"]


def test_somebody_else_at_it_is_busy_and_says_when_to_try_again(shop: Site, ci: Program) -> None:
    shop.w.ledger.take_lease(SHOP, holder="jonas (cli)", verb="upgrade", at=shop.w.clock.utc())
    answer = ci.post("apps/shop/rollback", {"to_version": "v1"})
    told = problem(answer, 423, "busy")
    assert "jonas (cli)" in told["detail"]
    assert told["serving"]["version"] == "v2"
    assert answer.headers["Retry-After"] == "5"


def test_what_haproxy_refuses_is_502_and_nothing_was_moved(shop: Site, ci: Program) -> None:
    shop.w.traffic.refuse_next("no such map")
    told = problem(ci.post("apps/shop/rollback", {"to_version": "v1"}), 502, "switch_refused")
    assert told["serving"]["version"] == shop.w.serving == "v2"


def test_without_docker_what_needs_it_is_503_and_going_back_works(shop: Site, ci: Program) -> None:
    shop.w.engine.away = "connection refused"
    answer = ci.post("apps/shop/upgrade", {"version": "v3"})
    assert "systemctl start docker" in " ".join(problem(answer, 503, "engine_unavailable")["remedy"])
    assert answer.headers["Retry-After"] == "5"
    assert ci.post("apps/shop/rollback", {"to_version": "v1"}).status_code == 200


def test_a_full_disk_is_507(ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_asked: object) -> None:
        raise DeployctlError("no space left", code="disk_full")

    do_instead(monkeypatch, "upgrade", full)
    problem(ci.post("apps/shop/upgrade", {"version": "v3"}), 507, "disk_full")


def test_every_error_of_ours_has_a_status_that_fits() -> None:
    from deployctl import errors
    from deployctl_web.problems import status_of

    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, DeployctlError)]
    codes = {one.code: status_of(one("x")) for one in kinds}
    assert {code for code, found in codes.items() if found >= 500} == {
        "unreachable", "engine_unavailable", "registry_unavailable", "proxy_unavailable", "ledger_unusable", "interrupted",
        "engine_refused", "switch_refused", "another_engine"}
    assert (status_of(EngineUnavailable("x", code="another_word")), status_of(DeployctlError("x", code="bug"))) == (503, 409)


def test_who_is_not_signed_in_is_told_how(shop: Site) -> None:
    for headers in ({}, {"Authorization": "Bearer dctl_wrong"}, {"Authorization": "Basic eDp5"}):
        answer = shop.app.test_client().get("/api/v1/apps", headers=headers, environ_overrides={"HTTP_HOST": HERE})
        problem(answer, 401, "not_signed_in")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_method_that_is_not_there_is_refused_with_those_that_are(shop: Site, ci: Program) -> None:
    before = shop.w.everything()
    for method, path in (("GET", "apps/shop/rollback"), ("PUT", "apps/shop"), ("DELETE", "apps/shop"), ("PATCH", "users"),
                         ("GET", "apps/shop/rollback?_method=POST&to=v1")):
        answer = ci.ask(method, path)
        problem(answer, 405, "method_not_allowed")
        assert answer.headers["Allow"]
    for method in ("HEAD", "OPTIONS"):
        for path in ("apps/shop/rollback", "apps/shop/undo", "users", "tokens/ci"):
            assert ci.ask(method, f"{path}?_method=POST").status_code in {200, 405}
    problem(ci.get("nothing/here"), 404, "not_found")
    assert shop.w.everything() == before


def test_another_name_than_ours_is_421(shop: Site) -> None:
    answer = shop.app.test_client().get("/api/v1/apps", environ_overrides={"HTTP_HOST": "evil.example"})
    problem(answer, 421, "wrong_host")


def test_too_many_changes_are_429_and_going_back_is_never_too_much(shop: Site, ci: Program) -> None:
    most = MAX_CHANGES_A_MINUTE
    codes = [ci.post("apps/shop/unhold", {"version": "v1"}).status_code for _ in range(most + 1)]
    assert codes == [200] * most + [429]
    answer = ci.post("users", {"name": "mara", "role": "viewer"})
    problem(answer, 429, "too_many_requests")
    assert int(answer.headers["Retry-After"]) > 0
    assert ci.post("apps/shop/rollback", {"to_version": "v1"}).status_code == 200
    assert ci.post("apps/shop/undo", {}).status_code == 200
    assert ci.get("apps").status_code == 200
    assert Program(shop, "other").post("apps/shop/unhold", {"version": "v1"}).status_code == 200


def test_what_breaks_inside_is_told_by_a_number_only(shop: Site, ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_words: object, **_more: object) -> None:
        raise RuntimeError("the secret is 42-42")

    monkeypatch.setattr("deployctl_web.api.routes_read.history", broken)
    told = problem(ci.get("apps/shop/history"), 500, "internal")
    assert "42-42" not in str(told)


# -- old readings -------------------------------------------------------------------------------------------------------
def test_a_reading_says_how_old_it_is(ci: Program) -> None:
    answer = ci.get("apps/shop")
    assert (answer.headers["Age"], "Deployctl-Stale" in answer.headers) == ("0", False)


def test_an_old_reading_says_why_there_is_no_newer_one(shop: Site, ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    whole = shop.web_state.status_cache.whole
    monkeypatch.setattr(type(shop.web_state.status_cache), "whole", lambda _status_cache, app, **_more: replace(
        whole(app), stale=True, age=12.7, why="Docker takes long – it hangs.\r\nX: y"))
    told = ci.get("apps/shop").headers
    assert (told["Age"], told["Deployctl-Stale"]) == ("12", "Docker takes long \\u2013 it hangs.\\r\\nX: y")


def test_roles_of_the_whole_server_are_asked_for_what_is_of_the_server(shop: Site) -> None:
    for name, role, apps in (("v", Role.VIEWER, []), ("d", Role.DEPLOYER, []), ("a", Role.ADMIN, ["shop"])):
        program = Program(shop, name, role, *apps)
        for path in ("users", "tokens"):
            problem(program.get(path), 403, "not_permitted")
        assert program.get("server").status_code == (200 if not apps else 403)
        problem(program.post("users", {"name": "eve", "role": "admin"}), 403, "not_permitted")
        problem(program.post("tokens", {"name": "eve", "scope": "admin"}), 403, "not_permitted")
        problem(program.delete("tokens/ci"), 403, "not_permitted")


def test_a_rollback_goes_to_the_release_that_is_named(shop: Site, ci: Program) -> None:
    shop.w.upgrade("v2", env={"MODE": "sale"})
    back = ci.get("apps/shop").get_json()["apps"][0]["rollback"]
    assert (back["version"], back["release"], back["name"], back["brings_back"]) == ("v2", 2, "v2@2", ["without MODE"])
    told = ci.post("apps/shop/rollback", {"release": back["release"]}).get_json()
    assert (told["from_release"], told["to_release"]) == (3, 2)
    assert ci.post("apps/shop/rollback", {"to_version": "v1", "release": 2}).status_code == 404


# -- what a registry says -----------------------------------------------------------------------------------------------
def test_a_request_may_carry_when_the_registry_is_asked(shop: Site, ci: Program) -> None:
    images = shop.w.engine.images
    images.publish("acme/shop:main", runnable("A"))
    told = ci.post("apps/shop/upgrade", {"version": "main"}, wait=10).get_json()
    assert told["image"] is None
    images.publish("acme/shop:main", runnable("B"))
    assert not ci.post("apps/shop/upgrade", {"version": "main", "pull": "missing"}, wait=10).get_json()["changed"]
    told = ci.post("apps/shop/start", {"version": "main", "pull": "newer"}, wait=10).get_json()
    assert told["image"]["code"] == "tag_moved"
    images.registry_away = "the registry is away"
    problem(ci.post("apps/shop/upgrade", {"version": "main", "pull": "always"}, wait=10), 503, "registry_unavailable")
    problem(ci.post("apps/shop/upgrade", {"version": "main", "pull": "often"}), 400, "invalid")


# -- fields that were renamed ---------------------------------------------------------------------------------------------
def test_the_former_names_of_fields_are_accepted_for_one_release(ci: Program) -> None:
    assert ci.post("apps/shop/rollback", {"to": "v1", "sure": False}).status_code == 200
    assert problem(ci.post("apps/shop/stop", {"version": "v1"}), 409, "confirmation_needed")["remedy"] == [
        'confirm beforehand: retry with "yes": true']
    assert ci.post("apps/shop/stop", {"version": "v1", "sure": True}).status_code == 200


def test_a_former_name_beside_the_one_of_today_is_refused(ci: Program) -> None:
    told = problem(ci.post("apps/shop/rollback", {"to": "v1", "to_version": "v1"}), 400, "invalid")
    assert "body.to is not a known field." in told["detail"]
    told = problem(ci.post("apps/shop/upgrade", {"to": "v1", "version": "v3"}), 400, "invalid")
    assert "body.to is not a known field." in told["detail"], "an upgrade never had it"
