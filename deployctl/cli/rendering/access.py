"""The text of `user list`, `user sessions`, `token list` and `audit`: the data of their JSON, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deployctl.cli.rendering.tables import NONE, Column, TextTable, lay_out
from deployctl.cli.rendering.times import ago, when
from deployctl.cli.terminal import TerminalStyle
from deployctl.domain.host.access import roles_text
from deployctl.usecases.listings import AuditLine

JsonObject = Mapping[str, Any]


def users_text(answer: JsonObject, look: TerminalStyle) -> list[str]:
    if not answer["users"]:
        return ["No users yet. Create the first: deployctl user add NAME --role admin"]
    return lay_out(users_table(answer, look), look)


def users_table(answer: JsonObject, look: TerminalStyle) -> TextTable:
    columns = (Column("USER"), Column("ROLES"), Column("SESSIONS", right=True), Column("PASSWORD"), Column("CREATED"),
               Column("BY"))
    return TextTable(columns, tuple(
        (user["name"], roles_text(user["roles"]), str(user["sessions"]), "yes" if user["password"] else "no",
         when(user["created_at"], look), user["created_by"]) for user in answer["users"]))


def sessions_text(answer: JsonObject, look: TerminalStyle) -> list[str]:
    if not answer["sessions"]:
        return [f"{answer['user']} has no active sessions."]
    return lay_out(sessions_table(answer, look), look)


def sessions_table(answer: JsonObject, look: TerminalStyle) -> TextTable:
    columns = (Column("SESSION", right=True), Column("STARTED"), Column("LAST SEEN"), Column("FROM"),
               Column("BROWSER", elastic=True))
    return TextTable(columns, tuple((str(one["id"]), when(one["created_at"], look), ago(one["seen_at"], look), one["address"],
                                 one["agent"] or NONE) for one in answer["sessions"]))


def tokens_text(answer: JsonObject, look: TerminalStyle) -> list[str]:
    if not answer["tokens"]:
        return ["No tokens yet. Create one: deployctl token create NAME"]
    return lay_out(tokens_table(answer, look), look)


def tokens_table(answer: JsonObject, look: TerminalStyle) -> TextTable:
    columns = (Column("TOKEN"), Column("STATE"), Column("ROLES"), Column("EXPIRES"), Column("LAST USED"), Column("FROM"),
               Column("CREATED"), Column("BY"), Column("OWNER"))
    return TextTable(columns, tuple(
        (token["name"], token["state"].replace("_", " "), roles_text(token["roles"]), _when(token["expires_at"], look),
         ago(token["used_at"], look) if token["used_at"] else NONE, token["used_from"] or NONE,
         when(token["created_at"], look), token["created_by"], token["owner"] or NONE) for token in answer["tokens"]))


def _when(at: str | None, look: TerminalStyle) -> str:
    return NONE if at is None else when(at, look)


def audit_text(lines: Sequence[AuditLine], look: TerminalStyle) -> list[str]:
    return lay_out(audit_table(lines, look), look) if lines else ["No matching entries."]


def audit_table(lines: Sequence[AuditLine], look: TerminalStyle) -> TextTable:
    """Return one row per line. On a terminal the summary is followed by the reason, and preceded by a sign for a failure."""
    columns = (Column("WHEN"), Column("WHO"), Column("HOW"), Column("APP"), Column("WHAT HAPPENED", elastic=True),
               Column("KIND", wide=True), Column("RESULT", wide=True), Column("REV", wide=True, right=True),
               Column("FROM", wide=True), Column("NOTE", wide=True), Column("ID", wide=True, right=True))
    return TextTable(columns, tuple(
        (when(line.at, look), line.who, line.how, line.app or NONE, _happened(line, look), line.what, line.result,
         str(line.after) if line.after is not None else NONE, line.address or NONE, _first_line(line.note) or NONE,
         str(line.id)) for line in lines))


def _happened(line: AuditLine, look: TerminalStyle) -> str:
    sentence = _first_line(line.summary)
    if not look.signs:
        return sentence
    sign = {"denied": f"{look.warn} ", "failed": f"{look.bad} "}.get(line.result, "")
    return f"{sign}{sentence}{f' ({_first_line(line.note)})' if line.note and not look.wide else ''}"


def _first_line(text: str) -> str:
    first, *more = text.strip().splitlines() or [""]
    return f"{first} …" if more else first
