"""Which cookie is the session's if a browser sends several of its name: the last one that we signed.

A script of an app under the same host name can set others for a longer path, and browsers send these first (RFC 6265,
5.4). Ours is for the shortest path there is.
"""

from __future__ import annotations

from contextlib import suppress

from flask import Flask, Request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import BadSignature

SESSION = "_user_id"  # inside it, named as by Flask-Login: the session's secret, which the ledger stores as a hash


class LastSigned(SecureCookieSessionInterface):
    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        signer = self.get_signing_serializer(app)
        if signer is None:
            return None
        for value in reversed(request.cookies.getlist(self.get_cookie_name(app))):
            with suppress(BadSignature):
                return self.session_class(signer.loads(value, max_age=int(app.permanent_session_lifetime.total_seconds())))
        return self.session_class()
