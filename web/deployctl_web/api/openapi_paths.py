"""The paths of the OpenAPI document: a route of an app is one of its components, too."""

from __future__ import annotations

import re
from collections.abc import Iterator

from werkzeug.routing import Rule

from deployctl.domain.host.access import PERSON, TOKEN_NAME
from deployctl.domain.images.secret import SECRET
from deployctl.domain.inputs.names import COMPONENT
from deployctl.usecases.views import Json
from deployctl_web.api.endpoint import MAX_NUMBER_DIGITS
from deployctl_web.api.request_fields import APP_SCHEMA, VERSION_SCHEMA, text_like
from deployctl_web.app_paths import COMPONENT_PATH

PATHS: dict[str, Json] = {
    "app": APP_SCHEMA,
    "component": text_like(COMPONENT, example="db"),
    "version": VERSION_SCHEMA,
    "secret_name": text_like(SECRET, example="DATABASE_URL"),
    "deployment": {"type": "integer", "minimum": 0, "maximum": 10**MAX_NUMBER_DIGITS - 1, "examples": [7]},
    "session": {"type": "integer", "minimum": 0, "maximum": 10**MAX_NUMBER_DIGITS - 1, "examples": [3]},
    "operation": {"type": "string", "pattern": "^[0-9a-f]{16}$", "examples": ["9f2c1a7be0d34c55"]},
    "user": text_like(PERSON, example="mara"),
    "token": text_like(TOKEN_NAME, example="ci-shop"),
}
# What no backing component has: versions beside each other, responses that HAProxy makes up for it, secrets of its own.
NOT_OF_COMPONENTS = frozenset({"start", "app_refusals", "app_secrets", "secret_set", "secret_remove"})
OF_COMPONENT = "As for an app, with the versions of its backing component; the rights are the app's."


def paths_of(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield the paths of a rule as the document writes them, each with what its operation's id begins with."""
    path = rule.rule.replace("<app:app>", "<app>").replace("<", "{").replace(">", "}")
    yield path, ""
    if "app" in rule.arguments and rule.endpoint.rpartition(".")[2] not in NOT_OF_COMPONENTS:
        yield path.replace("{app}", f"{{app}}{COMPONENT_PATH}{{component}}", 1), "component_"


def in_path(path: str) -> Iterator[Json]:
    """Yield the parameters in that path."""
    for name in sorted(re.findall(r"{(\w+)}", path)):
        yield {"name": name, "in": "path", "required": True, "schema": PATHS[name]}
