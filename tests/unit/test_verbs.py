"""One table of verbs: what it names exists, and a verb means the same on the command line, in the API and in a form."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.host.access import SCOPE_ROLES, Role
from deployctl.domain.images.image_source import PullPolicy
from deployctl.verbs import manage, params
from deployctl.verbs.find import find_verb
from deployctl.verbs.row import ParamKind, Verb, load
from deployctl.verbs.table import VERBS, routes
from tests.unit import cli_world
from tests.unit.api_world import Program
from tests.unit.web_world import site

LEAVES = [verb for verb in VERBS.values() if not verb.is_group]
CHANGES = [verb for verb in LEAVES if verb.does]
# What is said to a shop that serves v2, with v1 beside it: body of the API → words of the command line.
SAID: dict[str, tuple[dict[str, Any], list[str]]] = {
    "upgrade": ({"version": "v3", "note": "faster"}, ["v3", "-m", "faster"]),
    "rollback": ({"to_version": "v1", "note": "slow"}, ["v1", "-m", "slow"]),
    "undo": ({}, []),
    "start": ({"version": "v3"}, ["v3"]),
    "stop": ({"version": "v1"}, ["v1"]),
    "restart": ({"yes": True}, ["--yes"]),
    "scale": ({"replicas": 1}, ["1"]),
    "hold": ({"version": "v1", "note": "loses orders"}, ["v1", "-m", "loses orders"]),
    "unhold": ({"version": "v1"}, ["v1"]),
    "annotate": ({"note": "it was the network"}, ["-m", "it was the network"]),
    "abort": ({}, []),
    "prune": ({"yes": True}, ["--yes"]),
}
TIMED = {"switch_ms", "total_ms", "ready_ms", "steps", "home", "schema"}


def names(function: Any) -> tuple[set[str], set[str]]:
    """Return the parameters that it must be given, and all that it takes."""
    found = inspect.signature(function).parameters.values()
    return {one.name for one in found if one.default is one.empty}, {one.name for one in found}


def made_folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


@pytest.mark.parametrize("verb", CHANGES, ids=lambda verb: verb.name)
def test_a_use_case_takes_what_its_row_says(verb: Verb) -> None:
    own = {name for name, _ in verb.arguments({})}
    given = {"app", "s", "options", *own}
    needed, taken = names(verb.act())
    assert needed <= given <= taken
    assert ("any_image" in taken) is verb.any_image
    assert taken - given == ({"any_image"} if verb.any_image else set())
    planned = bool(verb.plans)
    assert planned is ("dry_run" in {param.name for param in verb.params})
    if planned:
        needed, taken = names(verb.plan())
        assert needed <= {"app", "s", "options", *verb.planned(dict.fromkeys(own))} == taken


@pytest.mark.parametrize("verb", [verb for verb in LEAVES if verb.runs], ids=lambda verb: verb.name)
def test_a_function_of_the_command_line_takes_what_its_row_says(verb: Verb) -> None:
    given = {"session", *(["words"] if verb.app else []), *(one.name for one in (*verb.words, *verb.flags))}
    assert names(load(verb.runs)) == (given, given)


@pytest.mark.parametrize("verb", LEAVES, ids=lambda verb: verb.name)
def test_a_row_is_whole(verb: Verb) -> None:
    assert bool(verb.does) is not bool(verb.runs)
    assert bool(verb.app) or not verb.versions
    for one in verb.params:
        assert one.word or one.flags or one.body or one.kind == ParamKind.RELEASE, one.name
        assert bool(one.about) >= bool(one.flags), one.name
        assert bool(one.choices) is (one.kind in {ParamKind.CHOICE, ParamKind.PULL}), one.name
    flags = [flag for one in (*verb.flags, *params.SHARED) for flag in one.flags]
    assert len(flags) == len(set(flags))


def test_the_words_of_the_table_are_those_of_the_domain() -> None:
    assert tuple(map(str, Role)) == manage.ROLES
    assert tuple(SCOPE_ROLES) == manage.SCOPES
    assert tuple(map(str, PullPolicy)) == params.PULL_POLICIES
    assert {route.role for _, route in routes().values()} <= {*map(str, Role)}


@pytest.mark.parametrize("name", routes())
def test_a_verb_answers_the_same_on_the_command_line_and_by_the_api(tmp_path: Path, name: str) -> None:
    body, words = SAID[name]
    with cli_world.shop(tmp_path / "cli", "v1", "v2") as home:
        said = home.deployctl(name, "shop", *words, "-o", "json")
        assert said.code == 0, said.both
        shown = home.deployctl("status", "shop", "-o", "json").json["apps"][0]
    with site(made_folder(tmp_path, "web"), "v1", "v2") as made:
        ci = Program(made)
        answer = ci.post(f"apps/shop/{name}", body, wait=20)
        assert answer.status_code == 200, answer.text
        there = ci.get("apps/shop").get_json()["apps"][0]
    told = answer.get_json()
    assert {key: told[key] for key in told if key not in TIMED} == {key: said.json[key] for key in told if key not in TIMED}
    for one in ("active", "standby"):
        assert (there[one] and there[one]["version"]) == (shown[one] and shown[one]["version"])


@pytest.mark.parametrize("name", routes())
def test_a_verb_does_the_same_by_a_form(tmp_path: Path, name: str) -> None:
    body, _ = SAID[name]
    fields = {key: "yes" if value is True else value for key, value in body.items()}
    with site(made_folder(tmp_path, "api"), "v1", "v2") as made:
        assert Program(made).post(f"apps/shop/{name}", body, wait=20).status_code == 200
        expected = made.w.serving, [(e["kind"], e["text"]) for e in made.w.ledger.events(None, limit=9) if e["app"] == "shop"]
    with site(made_folder(tmp_path, "form"), "v1", "v2") as made:
        mara = made.signed_in("mara")
        mara.get("/apps/shop")
        assert mara.post(f"/apps/shop/{name}", **fields).status_code == 303
        for job in made.web_state.jobs.under_way("shop"):  # type: ignore[arg-type]  # the app's name
            assert job.wait(20)
        found = made.w.serving, [(e["kind"], e["text"]) for e in made.w.ledger.events(None, limit=9) if e["app"] == "shop"]
    assert found == expected


def test_a_verb_that_was_renamed_is_still_found_by_its_former_name_and_not_told(tmp_path: Path) -> None:
    with site(tmp_path, "v1", "v2") as made:
        ci, mara = Program(made), made.signed_in("mara")
        assert ci.post("apps/shop/remark", {"note": "it was the network"}).status_code == 200
        mara.get("/apps/shop")
        assert mara.post("/apps/shop/remark", note="and the disk").status_code == 303
        paths = ci.get("openapi.json").get_json()["paths"]
        assert [next(iter(made.w.ledger.events("shop", kind="remark", limit=1)))["data"]["note"]] == ["and the disk"]  # type: ignore[arg-type]
    assert "/api/v1/apps/{app}/annotate" in paths
    assert "/api/v1/apps/{app}/remark" not in paths


def test_a_verb_is_found_by_its_name_without_the_whole_table() -> None:
    assert {name: find_verb(name) for name in VERBS} == VERBS
    assert find_verb("no such verb") is None
