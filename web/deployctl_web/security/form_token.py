"""The anti-forgery token: in every form of a page, bound to the session of the browser that got the page.

A foreign page can send a form with our cookie, and cannot know the token. It is signed with the dashboard's key and as
valid as the session: a tab that was open overnight still works.
"""

from __future__ import annotations

import secrets
from hmac import compare_digest
from typing import cast

from flask import current_app, g, request, session
from itsdangerous import BadData, URLSafeTimedSerializer

FIELD, HEADER = "csrf_token", "X-CSRFToken"
SALT = "wtf-csrf-token"  # Flask-WTF's, which signed these tokens before: pages opened then are still valid


def form_token() -> str:
    """Return the token for the forms of this page, one for all of them; none for a program, which has no session."""
    if g.get("via") == "token":
        return ""
    if FIELD not in g:
        if not isinstance(session.get(FIELD), str):
            session[FIELD] = secrets.token_hex(20)
        setattr(g, FIELD, _serializer().dumps(session[FIELD]))
    return cast(str, g.get(FIELD))


def brings_form_token() -> bool:
    """Return whether the request carries the token of its own session, as a field or in the header."""
    sent, known = request.form.get(FIELD) or request.headers.get(HEADER), session.get(FIELD)
    if not sent or not isinstance(known, str):
        return False
    try:
        signed = _serializer().loads(sent)
    except BadData:
        return False
    return isinstance(signed, str) and compare_digest(known.encode(), signed.encode())


def _serializer() -> URLSafeTimedSerializer:
    key = current_app.secret_key
    assert key is not None  # noqa: S101  create_app sets it
    return URLSafeTimedSerializer(key, salt=SALT)
