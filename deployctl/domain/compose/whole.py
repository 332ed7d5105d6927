"""What concerns the project as a whole: its secrets, its networks, and what it refers to and does not have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deployctl.domain.compose.gaps import GapCode, ImportGap
from deployctl.domain.compose.model import MissingKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.compose.draft import Draft
    from deployctl.domain.compose.model import Missing
    from deployctl.domain.compose.service import Part, Surroundings

_FOLDER = "/run/secrets/"
_MODES = frozenset({"400", "440", "444"})
_OF_A_PROJECT = frozenset({"name", "version", "services", "networks", "volumes", "secrets", "configs"})
_OF_A_NETWORK = frozenset({"name", "external", "internal", "driver", "ipam"})
_OF_AN_ENDPOINT = frozenset({"aliases"})


def set_secrets(draft: Draft, project: Mapping[str, Any], parts: Iterable[Part], around: Surroundings) -> None:
    """Write each part's key `secrets`. They are files in /run/secrets, as in Compose."""
    for part in parts:
        listed = [_secret(part, one, draft, around) for one in part.service.raw.get("secrets") or ()]
        if listed:
            part.table["secrets"] = listed


def _secret(part: Part, one: Mapping[str, Any], draft: Draft, around: Surroundings) -> Any:
    source, target = str(one["source"]), str(one.get("target") or one["source"])
    name = target.removeprefix(_FOLDER)
    if "/" in name:
        name = source
        part.miss(GapCode.INVALID_VALUE, f"secrets.{source}", f"secrets are files in {_FOLDER}, not {target}", blocks=True)
    draft.secrets[name] = source
    if not {name, source} & around.secrets:
        part.miss(GapCode.SECRET_MISSING, f"secrets.{source}", f"the secret {name} has no value",
                  f"deployctl secret set {draft.app} {name}", blocks=True)
    mode, user = str(one.get("mode") or "")[-3:], one.get("uid")
    more = {**({"mode": f"0{mode}"} if mode in _MODES else {}), **({"user": str(user)} if user else {})}
    return {"name": name, **more} if more else name


def set_networks(draft: Draft, project: Mapping[str, Any], parts: Iterable[Part]) -> None:
    """All networks of the project become the app's own one; those that exist outside of it are joined."""
    told: Mapping[str, Any] = {name: one or {} for name, one in (project.get("networks") or {}).items()}
    inside: set[str] = set()
    for part in parts:
        own = [*(part.service.raw.get("networks") or {})]
        outside = [told[name].get("name") or name for name in own if told.get(name, {}).get("external")]
        if outside:
            part.table["networks"] = outside
        inside |= {name for name in own if not told.get(name, {}).get("external")}
        for name, endpoint in (part.service.raw.get("networks") or {}).items():
            if more := sorted(key for key, value in (endpoint or {}).items() if value and key not in _OF_AN_ENDPOINT):
                part.miss(GapCode.NETWORKS, f"networks.{name}", f"{', '.join(more)}: addresses are deployctl's to give")
            if told.get(name, {}).get("internal"):
                part.miss(GapCode.INTERNAL_NETWORK, f"networks.{name}", "the network has no way out to the internet, and there "
                          "is none like it here yet", blocks=True)
    if len(inside) > 1:
        names = ", ".join(sorted(inside))
        draft.gaps.append(ImportGap(GapCode.NETWORKS, "networks", f"{names} become one: all components reach each other"))


def name_the_project(draft: Draft, project: Mapping[str, Any], idle: Iterable[str]) -> None:
    """Add a gap for each key above the services that means nothing here, and for services that no enabled profile has."""
    for key, value in project.items():
        if key not in _OF_A_PROJECT and value:
            why = "it is for the file itself" if key.startswith("x-") else f"deployctl has nothing like {key}"
            draft.gaps.append(ImportGap(GapCode.KEY, key, f"{key} is left out: {why}", blocks=not key.startswith("x-")))
    for name, told in (project.get("networks") or {}).items():
        if more := sorted(key for key, value in (told or {}).items() if value and key not in _OF_A_NETWORK):
            why = f"{', '.join(more)}: the app's network has no options"
            draft.gaps.append(ImportGap(GapCode.NETWORKS, f"networks.{name}", why))
    for name, told in (project.get("volumes") or {}).items():
        if (told or {}).get("labels"):
            draft.gaps.append(ImportGap(GapCode.LABELS, f"volumes.{name}.labels", "volumes have deployctl's labels only"))
    for name in idle:
        draft.gaps.append(ImportGap(GapCode.PROFILE, "profiles", f"services of the profile {name} are left out",
                                    (f"deployctl import compose --profile {name}",)))


def name_missing(missing: Iterable[Missing], parts: Mapping[str, Part]) -> None:
    for one in missing:
        for part in [parts[name] for name in one.services if name in parts]:
            if one.kind is MissingKind.VARIABLE:
                part.miss(GapCode.VARIABLE_MISSING, "environment", f"{one.name} is required, and set nowhere",
                          f"{one.name}=… in .env, and import again", blocks=True)
            elif one.kind is MissingKind.UNSET:
                part.miss(GapCode.VARIABLE_UNSET, "environment", f"{one.name} is set nowhere, so it is empty",
                          f"{one.name}=… in .env, and import again")
            elif one.kind is MissingKind.ENV_FILE:
                part.miss(GapCode.ENV_FILE_MISSING, "env_file", f"{one.name} does not exist", "create it, and import again",
                          blocks=True)
