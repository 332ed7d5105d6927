"""What may be a secret is not shown: neither on a page nor in its twin, whoever looks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deployctl.domain.env_words import shown
from deployctl.domain.release import Bundle, Release
from deployctl.usecases.views import release_json


def shown_env(bundle: Bundle) -> list[tuple[str, str]]:
    return [(name, shown(name, value)) for name, value in bundle.env]


def hidden_json(release: Release) -> dict[str, Any]:
    """Return the release as JSON, without values that may be secrets."""
    return release_json(replace(release, bundle=replace(release.bundle, env=tuple(shown_env(release.bundle))))) | {
        "bundle_hash": release.bundle.hash()}
