"""Golden texts: what people read, to the letter, on terminals of three widths, in a pipe, without colour, in ASCII.

They live in cli_golden.txt. After a wanted change: python -m tests.unit.test_cli_render writes it again; read the diff.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.cli.rendering.access import (
    audit_table,
    audit_text,
    sessions_text,
    tokens_table,
    tokens_text,
    users_table,
    users_text,
)
from deployctl.cli.rendering.change import (
    done_text,
    findings_table,
    findings_text,
    moved_text,
    preview_table,
    preview_text,
)
from deployctl.cli.rendering.error import error_text
from deployctl.cli.rendering.release import diff_table, diff_text, history_table, history_text, show_text
from deployctl.cli.rendering.status import apps_table, instances_table, status_text
from deployctl.cli.rendering.tables import breadth, tsv
from deployctl.cli.terminal import TerminalStyle
from deployctl.errors import (
    AttentionNeeded,
    DeployctlError,
    EngineUnavailable,
    LeaseHeld,
    NotHealthy,
    RevertedAfterSwitch,
    Serving,
)
from deployctl.usecases.listings import Finding, SessionList, count_sessions, with_state
from deployctl.usecases.results import Done, OpenDeployment, StatusView
from deployctl.usecases.views import as_json
from tests.unit import cli_results as r

GOLDEN = Path(__file__).with_name("cli_golden.txt")
Lines = Callable[[TerminalStyle], list[str]]

LOOKS = {
    "tty 60": r.tty(60), "tty 80": r.tty(80), "tty 120": r.tty(120), "pipe": r.PIPE,
    "tty 80 colour": r.tty(80, colour=True), "tty 80 ascii": r.tty(80, utf8=False),
    "tty 80 quiet": r.tty(80, quiet=True), "tty 200 wide": r.tty(200, wide=True),
}  # fmt: skip
PAGES: dict[str, Lines] = {
    "status": lambda look: status_text(r.THREE, look, one=False),
    "status shop-api": lambda look: status_text(r.ONE, look, one=True),
    "history": lambda look: history_text(r.HISTORY, look),
    "rollback": lambda look: moved_text(r.ROLLED_BACK, look),
    "audit": lambda look: audit_text(r.AUDIT, look),
    "upgrade --dry-run, with NET_RAW": lambda look: preview_text(r.RAW_PREVIEW, look),
}
NOW = "2026-11-23T14:44:00.000Z"
USERS = as_json(count_sessions([r.JONAS, r.MARA], r.SESSIONS))
TOKENS = as_json(with_state(r.TOKENS, now=NOW))
DEPLOYING = OpenDeployment(9, "upgrade", "probing", "ci (cli)", "2026-11-23T14:43:39Z", interrupted=False, to_version="v43")
SERVING = Serving("shop-api", "v42", 7, 118, "127.0.0.1:8000")


def told(error: DeployctlError, *, serving: bool = True, details: tuple[str, ...] = ()) -> Lines:
    error.serving, error.details = SERVING if serving else None, [*details]
    return lambda look: error_text(error, look)


ONCE: dict[str, Lines] = {
    "status, nothing there": lambda look: status_text(StatusView((), None, None), look, one=False),
    "status, all away": lambda look: status_text(
        StatusView((replace(r.WELL, state="unknown"),), engine="Docker is not responding",
                   proxy="HAProxy is dead"), look, one=False),
    "status shop-api, deploying": lambda look: status_text(
        StatusView((replace(r.TROUBLED, state="deploying", deployment=DEPLOYING, notes=()),), None, None),
        look, one=True),
    "status shop-api, slow way back": lambda look: status_text(StatusView((r.SLOW,), None, None), look, one=True),
    "status shop-api, no way back": lambda look: status_text(StatusView((r.CUT_OFF,), None, None), look, one=True),
    "status worker": lambda look: status_text(StatusView((r.BARE,), None, None), look, one=True),
    "history, nothing there": lambda look: history_text(replace(r.HISTORY, lines=(), attempts=()), look),
    "upgrade": lambda look: moved_text(r.UPGRADED, look),
    "upgrade, the first": lambda look: moved_text(replace(r.UPGRADED, source=None, standby=None, warnings=()), look),
    "upgrade, nothing to do": lambda look: moved_text(replace(r.UPGRADED, changed=False), look),
    "undo": lambda look: moved_text(replace(r.ROLLED_BACK, kind="Undo", target="v42", held=(), released=("v42",)), look),
    "rollback, not confirmed": lambda look: moved_text(replace(r.ROLLED_BACK, confirmed=False, held=()), look),
    "rollback --dry-run": lambda look: preview_text(r.PREVIEW, look),
    "prune --dry-run, nothing to do": lambda look: preview_text(
        replace(r.PREVIEW, plan=replace(r.PREVIEW.plan, steps=(), summary="shop-api"), warnings=()), look),
    "show": lambda look: show_text(r.SHOWN, look),
    "show, that boots": lambda look: show_text(r.STANDBY_SHOWN, look),
    "show, bare": lambda look: show_text(
        replace(r.SHOWN, release=replace(r.RELEASE, hold=None, proven_at=None, colour=None), role="idle", instance=None,
                last=None, siblings=()), look),
    "show, with all that Docker gives": lambda look: show_text(r.FORMER_SHOWN, look),
    "show, with NET_RAW": lambda look: show_text(r.RAW_SHOWN, look),
    "diff": lambda look: diff_text(r.DIFFERENT, look),
    "diff, the same": lambda look: diff_text(replace(r.DIFFERENT, after=r.BEFORE, lines=()), look),
    "stop": lambda look: done_text(Done("Stop", "shop-api", "v40 is stopped", ("Again:\ndeployctl start",)), look),
    "doctor": lambda look: findings_text((Finding("engine", True, "Docker 27.3"),
                                          Finding("disk", False, "0.1 GiB free", "docker image prune"),
                                          Finding("drift", False, "route.map was edited", fatal=False)), look),
    "doctor, all well": lambda look: findings_text((Finding("engine", True, "Docker 27.3"),), look),
    "user list": lambda look: users_text(USERS, look),
    "user list, nobody": lambda look: users_text(as_json(count_sessions([], [])), look),
    "user sessions": lambda look: sessions_text(as_json(SessionList("mara", r.SESSIONS)), look),
    "user sessions, none": lambda look: sessions_text(as_json(SessionList("jonas", [])), look),
    "token list": lambda look: tokens_text(TOKENS, look),
    "token list, none": lambda look: tokens_text(as_json(with_state([], now=NOW)), look),
    "audit, nothing there": lambda look: audit_text((), look),
    "error before the switch": told(
        NotHealthy("v43 did not get healthy: GET /healthz gave 503 for 60 s (30 of 30 checks).",
                   remedy=["deployctl logs shop-api v43", "deployctl diff shop-api v42 v43"]),
        details=("Last lines of v43:", "  RuntimeError: \x1b[31mDATABASE_URL is not set")),
    "error after the switch": told(RevertedAfterSwitch("v43 failed under traffic")),
    "error half-way": told(AttentionNeeded("the switch failed\nand stays so", remedy=["deployctl doctor"])),
    "error, nothing serves": told(DeployctlError("no"), serving=False),
    "error, busy": told(LeaseHeld("shop-api is busy: ci runs upgrade since 14:43:39 (pid 7, phase probing)",
                                  remedy=["deployctl rollback shop-api … --lock-wait 5m", "deployctl abort shop-api"])),
    "error, engine away": told(EngineUnavailable("Docker is not responding on unix:///var/run/docker.sock.",
                                                 remedy=["sudo systemctl start docker", "deployctl doctor",
                                                         "or wait"])),
}  # fmt: skip


def texts() -> dict[str, str]:
    found = {f"{page} — {name}": look.finish(lines(look))
             for page, lines in PAGES.items() for name, look in LOOKS.items()}
    return found | {f"{page} — pipe": r.PIPE.finish(lines(r.PIPE)) for page, lines in ONCE.items()}


def golden() -> dict[str, str]:
    sections = GOLDEN.read_text().split("######## ")[1:]
    return {name: text for name, _, text in (section.partition("\n") for section in sections)}


def write_golden() -> None:
    GOLDEN.write_text("".join(f"######## {name}\n{text}" for name, text in texts().items()))


@pytest.mark.parametrize("name", list(texts()))
def test_every_text_is_as_it_was_agreed(name: str) -> None:
    assert texts()[name] == golden()[name]


def test_no_golden_text_is_left_over() -> None:
    assert set(golden()) == set(texts())


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("table", ["status", "history", "audit"])
def test_tables_never_wrap(table: str, width: int) -> None:
    look = r.tty(width)
    rows = [line for line in PAGES[table](look) if not line.startswith(("!", "  Roll back"))]
    assert max(map(breadth, rows)) <= width


def test_colour_is_never_the_only_bearer_of_a_state() -> None:
    for page in PAGES.values():
        coloured, plain = r.tty(80, colour=True), r.tty(80)
        text = coloured.finish(page(coloured))
        for code in ("0", "1", "31", "33", "34", "36"):
            text = text.replace(f"\x1b[{code}m", "")
        assert text == plain.finish(page(plain))


def test_an_ascii_terminal_gets_ascii() -> None:
    look = r.tty(80, utf8=False)
    assert all(look.finish(page(look)).isascii() for page in (*PAGES.values(), *ONCE.values()))


def test_environment_values_are_not_shown() -> None:
    assert "postgres" not in "\n".join(show_text(r.SHOWN, r.PIPE))


def test_tsv_has_words_and_no_signs() -> None:
    look = replace(r.PIPE, signs=False)
    tables = [apps_table(r.THREE, look), instances_table(r.TROUBLED, look), history_table(r.HISTORY, look),
              diff_table(r.DIFFERENT), preview_table(r.PREVIEW), findings_table((Finding("disk", False, "full"),)),
              users_table(USERS, look), tokens_table(TOKENS, look), audit_table(r.AUDIT, look)]
    for table in tables:
        lines = tsv(table, look)
        assert {line.count("\t") for line in lines} == {len(table.columns) - 1}
        assert not any(sign in "".join(lines) for sign in "✓✗!–")


if __name__ == "__main__":
    write_golden()
