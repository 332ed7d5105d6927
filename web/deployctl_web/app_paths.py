"""The part of a path that names an app or its backing component: /apps/shop, /apps/shop/components/db."""

from __future__ import annotations

from werkzeug.routing import BaseConverter

COMPONENT_PATH = "/components/"


class AppConverter(BaseConverter):
    """Every route of an app is one of its backing components, too: both have versions, history and rollback."""

    part_isolating = False
    regex = f"[^/]+(?:{COMPONENT_PATH}[^/]+)?"

    def to_python(self, value: str) -> str:
        """Return the name as typed, SHOP or SHOP/DB: it is parsed where its rights are checked."""
        return value.replace(COMPONENT_PATH, "/", 1)

    def to_url(self, value: str) -> str:
        return COMPONENT_PATH.join(super(AppConverter, self).to_url(part) for part in value.split("/", 1))
