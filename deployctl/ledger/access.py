"""Users, their sessions, one-time links and tokens. Secrets are never stored, only their hashes. Responses to
requests with a key are kept: a repeated request gets the same response, and is carried out once."""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.access import KeptAnswer, Role, SignIn, Token, Tries, User
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


SIGN_INS_KEPT = 200  # of each user, newest: another sign-in ends the oldest, if it is still active
STRANGE_NAMES = 1000  # names of no user whose failed attempts are counted


ENDED_TOLD = 200  # of the newest tokens: as many are listed, whether in use or not
_TOKENS = """select * from tokens where id in (select id from tokens where revoked_at is null
union select id from (select id from tokens order by id desc limit ?)) order by id desc"""


class AccessRows(AnswerRows):
    """Reads and writes the tables `users`, `tries`, `links`, `sign_ins` and `tokens`."""

    db: LedgerConnection

    # -- users ------------------------------------------------------------------------------------------------------
    def users(self) -> list[User]:
        return [_user(row) for row in self.db.execute("select * from users order by name")]

    def find_user(self, name: str) -> User | None:
        row = self.db.one("select * from users where name = ?", [name])
        return _user(row) if row else None

    def add_user(self, user: User) -> bool:
        from deployctl.domain.host.access import roles_json

        return bool(self.db.execute(
            "insert into users(name, roles, password, created_at, created_by) values (?, ?, ?, ?, ?) "
            "on conflict do nothing returning name",
            [user.name, roles_json(user.roles), user.password, user.created_at, user.created_by]))

    def set_roles(self, name: str, roles: Mapping[str, Role]) -> None:
        from deployctl.domain.host.access import roles_json

        self.db.execute("update users set roles = ? where name = ?", [roles_json(roles), name])

    def set_password(self, name: str, hash_: str | None) -> None:
        self.db.execute("update users set password = ? where name = ?", [hash_, name])

    def remove_user(self, name: str, *, at: str) -> None:
        with self.db.transaction(durable=True):
            self.end_sign_ins(name, at=at)
            self.forget_links(of=name)
            self.db.execute("delete from users where name = ?", [name])

    def tries(self, name: str) -> Tries:
        from deployctl.domain.host.access import Tries

        row = self.db.one("select count, last_at from tries where name = ?", [name])
        return Tries(row["count"], row["last_at"]) if row else Tries()

    def count_try(self, name: str, *, at: str, since: str) -> None:
        with self.db.transaction():
            self.db.execute("delete from tries where last_at < ?", [since])
            self.db.execute("insert into tries(name, count, last_at) values (?, 1, ?) "
                            "on conflict(name) do update set count = count + 1, last_at = excluded.last_at", [name, at])
            self.db.execute("delete from tries where name not in (select name from users) and name not in (select name from "
                            "tries where name not in (select name from users) order by last_at desc limit ?)", [STRANGE_NAMES])

    def forget_tries(self, name: str) -> None:
        self.db.execute("delete from tries where name = ?", [name])

    # -- links and sessions -----------------------------------------------------------------------------------------
    def add_link(self, hash_: str, user: str, *, at: str, until: str, maker: str) -> None:
        with self.db.transaction():
            self.db.execute("delete from links where expires_at < ?", [at])
            self.db.insert("links", {"hash": hash_, "user": user, "created_at": at, "expires_at": until,
                                     "maker": maker})

    def forget_links(self, *, of: str = "", by: str = "") -> None:
        self.db.execute("delete from links where user = ? or maker = ?", [of, by])

    def take_link(self, hash_: str, *, at: str) -> str | None:
        taken = self.db.execute("delete from links where hash = ? returning user, expires_at", [hash_])
        return next((str(row["user"]) for row in taken if row["expires_at"] > at), None)

    def add_sign_in(self, hash_: str, user: str, *, at: str, address: str, agent: str) -> SignIn:
        self.db.execute("delete from sign_ins where user = ? and id <= (select id from sign_ins "
                        "where user = ? order by id desc limit 1 offset ?)", [user, user, SIGN_INS_KEPT - 1])
        row = self.db.execute(
            "insert into sign_ins(hash, user, created_at, seen_at, address, agent) values (?, ?, ?, ?, ?, ?) returning *",
            [hash_, user, at, at, address, agent])[0]
        return _sign_in(row)

    def find_sign_in(self, hash_: str) -> SignIn | None:
        row = self.db.one("select * from sign_ins where hash = ?", [hash_])
        return _sign_in(row) if row else None

    def sign_ins(self, user: str | None = None) -> list[SignIn]:
        mine = "" if user is None else "and user = ? "
        rows = self.db.execute("select * from sign_ins indexed by living_sign_ins where ended_at is null "  # noqa: S608  ours
                               f"{mine}order by id desc", [] if user is None else [user])
        return [_sign_in(row) for row in rows]

    def nth_sign_in(self, user: str, nth: int) -> str | None:
        row = self.db.one("select created_at from sign_ins where user = ? order by id desc limit 1 offset ?", [user, nth - 1])
        return str(row["created_at"]) if row else None

    def touch_sign_in(self, id_: int, *, at: str) -> None:
        self.db.execute("update sign_ins set seen_at = ? where id = ?", [at, id_])

    def end_sign_ins(self, user: str, *, at: str, id_: int | None = None, but: int | None = None) -> int:
        return len(self.db.execute(
            "update sign_ins set ended_at = ? where user = ? and ended_at is null "
            "and (? is null or id = ?) and (? is null or id != ?) returning id", [at, user, id_, id_, but, but]))

    # -- tokens -----------------------------------------------------------------------------------------------------
    def add_token(self, token: Token, hash_: str) -> Token | None:
        from deployctl.domain.host.access import roles_json

        made = self.db.execute(
            "insert into tokens(name, hash, roles, created_at, created_by, expires_at, owner) values (?, ?, ?, ?, ?, ?, ?) "
            "on conflict do nothing returning *",
            [token.name, hash_, roles_json(token.roles), token.created_at, token.created_by, token.expires_at, token.owner])
        return _token(made[0]) if made else None

    def tokens(self) -> list[Token]:
        return [_token(row) for row in self.db.execute(_TOKENS, [ENDED_TOLD])]

    def find_token(self, hash_: str) -> Token | None:
        row = self.db.one("select * from tokens where hash = ?", [hash_])
        return _token(row) if row else None

    def touch_token(self, id_: int, *, at: str, address: str) -> None:
        self.db.execute("update tokens set used_at = ?, used_from = ? where id = ?", [at, address, id_])

    def revoke_token(self, name: str, *, at: str) -> bool:
        return bool(self.db.execute("update tokens set revoked_at = ? where name = ? and revoked_at is null returning id",
                                    [at, name]))

    def revoke_tokens_of(self, owner: str, *, at: str) -> list[str]:
        return sorted(str(row["name"]) for row in self.db.execute(
            "update tokens set revoked_at = ? where owner = ? and revoked_at is null returning name", [at, owner]))

    def hand_over_tokens(self, owner: str, heir: str) -> list[str]:
        return sorted(str(row["name"]) for row in self.db.execute(
            "update tokens set owner = ? where owner = ? and revoked_at is null returning name", [heir, owner]))


    # -- all of them ------------------------------------------------------------------------------------------------
    def grants(self, *, at: str) -> dict[tuple[str, ...], str]:
        """Return who has rights at that time, users and tokens: keyed by everything that makes up the right, with a
        sentence for it."""
        from deployctl.domain.host.access import parse_roles

        found: dict[tuple[str, ...], str] = {}
        for row in self.db.execute("select * from users order by name"):
            if parse_roles(row["roles"]):
                found["user", row["name"], row["roles"], row["password"] or ""] = f"user {row['name']} ({_roles(row)})"
        for row in self.db.execute("select * from tokens order by name"):
            if _token(row).state(at) == "in_use":
                found["token", row["hash"], row["roles"], row["expires_at"] or ""] = f"token {row['name']} ({_roles(row)})"
        return found

    def end_access(self, *, at: str) -> None:
        """End every session and delete every link: those in a backup may have been ended since."""
        with self.db.transaction():
            self.db.execute("delete from links")
            self.db.execute("update sign_ins set ended_at = ? where ended_at is null", [at])


def _roles(row: sqlite3.Row) -> str:
    from deployctl.domain.host.access import parse_roles, roles_text

    return roles_text(parse_roles(row["roles"]))


def _user(row: sqlite3.Row) -> User:
    from deployctl.domain.host.access import User, parse_roles

    return User(row["name"], parse_roles(row["roles"]), row["password"], row["created_at"], row["created_by"])


def _sign_in(row: sqlite3.Row) -> SignIn:
    from deployctl.domain.host.access import SignIn

    return SignIn(row["id"], row["user"], row["created_at"], row["seen_at"], row["address"], row["agent"], row["ended_at"])


def _token(row: sqlite3.Row) -> Token:
    from deployctl.domain.host.access import Token, parse_roles

    return Token(row["id"], row["name"], parse_roles(row["roles"]), row["created_at"], row["created_by"],
                 row["expires_at"], row["used_at"], row["used_from"], row["revoked_at"], row["owner"])
