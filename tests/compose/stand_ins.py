"""Stand-in images for a project's services: the same names, ports, users and health checks, and a program that behaves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from deployctl.demo.image_tar import Content, Layer, TarImage, file_layer
from deployctl.demo.python_layer import PYTHON, python_layer
from tests.compose import stand_in
from tests.images import CACHE

PROGRAM = "/stand-in"
_CALLED_ANYWAY = ("sh", "bash", "curl", "wget", "pg_isready", "redis-cli", "mariadb-admin", "mysqladmin", "mongosh",
                  "rabbitmq-diagnostics", "nc")


def stand_ins(model: Mapping[str, Any], jobs: frozenset[str], ports: Mapping[str, int | None],
              version: str | None = None) -> list[TarImage]:
    """Return one image for each that the services name. `jobs`: services that end; `ports`: where services are asked beside
    those that the project names; `version`: the tag, if not the project's."""
    services: dict[str, list[dict[str, Any]]] = {}
    words: dict[str, set[str]] = {}
    for name, raw in model["services"].items():
        tag = _tag(raw.get("image") or f"{model['name']}-{name}:v1", version)
        further = ports.get(name)
        asked = sorted({*_ports(raw), *([further] if further else [])})
        told = {"name": name, "words": [*(raw.get("entrypoint") or [])[1:], *(raw.get("command") or [])], "job": name in jobs,
                "ports": asked}
        services.setdefault(tag, []).append(told)
        words.setdefault(tag, set()).update(_programs_of(raw))
    return [_image(tag, told, frozenset(words[tag])) for tag, told in services.items()]


def _tag(reference: str, version: str | None) -> str:
    name = reference.partition("@")[0]
    name = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    return f"{name.rpartition(':')[0]}:{version}" if version else name


def _image(tag: str, services: list[dict[str, Any]], words: frozenset[str]) -> TarImage:
    env = {"STAND_IN": json.dumps(services), "STAND_IN_VERSION": tag.rpartition(":")[2]}
    return TarImage(layers=(python_layer(CACHE), _layer(words)), tags=(tag,), entrypoint=(PROGRAM,), env=env)


@cache
def _layer(words: frozenset[str]) -> Layer:
    text = f"#!{PYTHON} -ESs\n".encode() + Path(stand_in.__file__).read_bytes()
    files: dict[str, Content] = {PROGRAM: (text, 0o755), "/etc/passwd": b"root:x:0:0:root:/:\nnobody:x:65534:65534::/:\n"}
    for word in (*words, *_CALLED_ANYWAY):
        files[word if word.startswith("/") else f"/usr/local/bin/{word}"] = (text, 0o755)
    return file_layer(files, folders={"/tmp": 0o1777})


def _programs_of(raw: Mapping[str, Any]) -> Iterator[str]:
    """Yield the programs that the project calls in the image."""
    test = (raw.get("healthcheck") or {}).get("test") or []
    for words in (raw.get("entrypoint") or [], test[1:] if test[:1] == ["CMD"] else []):
        if words and " " not in words[0]:
            yield words[0] if words[0].startswith("/") or "/" not in words[0] else f"/{words[0]}"


def _ports(raw: Mapping[str, Any]) -> set[int]:
    return {int(one["target"]) for one in raw.get("ports") or () if one.get("protocol", "tcp") == "tcp"} | {
        int(str(one).partition("/")[0]) for one in raw.get("expose") or ()}
