"""Responses to requests with an idempotency key: a repeated request gets the same response, and it is done once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deployctl.domain.host.access import KeptAnswer
    from deployctl.ledger.file.connection import LedgerConnection


class AnswerRows:
    """Reads and writes the table `answers`."""

    db: LedgerConnection

    def begin_answer(self, who: str, key: str, asked: str, *, at: str, since: str) -> KeptAnswer | None:
        from deployctl.domain.host.access import KeptAnswer

        with self.db.transaction():
            mine = self.db.execute(
                "insert into answers(who, key, asked, at) values (?, ?, ?, ?) on conflict(who, key) do update "
                "set asked = excluded.asked, at = excluded.at, status = null, body = null where answers.at < ? "
                "returning key", [who, key, asked, at, since])
            row = None if mine else self.db.one("select * from answers where who = ? and key = ?", [who, key])
        return None if row is None else KeptAnswer(row["asked"], row["status"], row["body"])

    def finish_answer(self, who: str, key: str, *, status: int, body: str) -> None:
        self.db.execute("update answers set status = ?, body = ? where who = ? and key = ?", [status, body, who, key])

    def forget_answer(self, who: str, key: str) -> None:
        self.db.execute("delete from answers where who = ? and key = ?", [who, key])

    def forget_answers(self, *, before: str, most: int) -> None:
        """Delete those before that time, and for each user all but that many newest ones."""
        self.db.execute("delete from answers where at < ? or rowid in (select id from (select rowid as id, row_number() "
                        "over (partition by who order by at desc, rowid desc) as nth from answers) where nth > ?)",
                        [before, most])
