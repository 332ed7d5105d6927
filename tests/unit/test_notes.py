"""One judge of the reasons that people give: the command line, forms, the API and the emergency say the same, with one code."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from deployctl.domain.inputs.plain_text import MAX_NOTE_CHARACTERS, parse_note, parse_reason
from deployctl.errors import Invalid
from deployctl.usecases.steps.options import ChangeOptions
from tests.unit.api_world import Program, problem
from tests.unit.cli_world import World
from tests.unit.web_world import Site, site

BAD = ["\x1b]0;owned\x07", "bell \x07", "\x7f", "\x9b2J", "\x85", "\x0b", "x" * (MAX_NOTE_CHARACTERS + 1), "two\nlines \x00"]
GOOD = ["", "checkout 500s", "two\r\nlines\tand a tab", "é → \U0001f600", "\u05d0\u200f \u202e \u061c",
        "x" * MAX_NOTE_CHARACTERS]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("notes"), "v1", "v2") as made:
        yield made


@pytest.mark.parametrize("note", BAD)
def test_what_is_no_note_is_refused_and_shown_harmlessly(note: str) -> None:
    for judge in (parse_note, parse_reason, ChangeOptions):
        with pytest.raises(Invalid) as refused:
            judge(note)
        assert refused.value.code == "invalid"
        assert refused.value.message.isascii()
        assert refused.value.message.isprintable()


@pytest.mark.parametrize("note", GOOD)
def test_what_people_write_is_a_note(note: str) -> None:
    assert parse_note(note) == ChangeOptions(note).note == note
    if note:
        assert parse_reason(note) == note


@pytest.mark.parametrize("note", [note for note in BAD if "\x00" not in note])
def test_the_command_line_refuses_it_for_every_verb(two: World, note: str) -> None:
    for words in (["rollback"], ["upgrade", "v2"], ["undo"], ["hold", "v1"], ["stop", "v1"], ["remark"],
                  ["emergency", "flip", "shop", "v1"]):
        said = two.deployctl(*words, "-m", note, "-o", "json")
        assert (said.code, said.json["error"]["code"]) == (2, "invalid"), words
    assert two.deployctl("status", "-o", "json").json["apps"][0]["revision"] == 2, "nothing was done"


@pytest.mark.parametrize("note", BAD)
def test_forms_and_the_api_refuse_it_with_the_same_code(page: Site, note: str) -> None:
    program, mara = Program(page, f"ci{BAD.index(note)}"), page.signed_in(f"mara{BAD.index(note)}")
    before = page.w.ledger.apps()[0].revision
    for verb, body in (("rollback", {}), ("hold", {"version": "v1"}), ("remark", {})):
        problem(program.post(f"apps/shop/{verb}", {**body, "note": note}), 400, "invalid")
    form = urlencode({"revision": before, "to": "v1", "sure": "yes", "note": note})
    kind = "application/x-www-form-urlencoded"
    problem(program.ask("POST", "/apps/shop/rollback", data=form, Content_Type=kind), 400, "invalid")
    mara.get("/apps/shop")
    assert mara.post("/apps/shop/rollback", revision=str(before), to_version="v1", yes="yes", note=note).status_code == 400
    assert page.w.ledger.apps()[0].revision == before
