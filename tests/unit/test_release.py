"""A bundle is one text and one hash: what it restores is what ran, byte for byte."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployctl.domain.images.engine_keys import EngineKeys
from deployctl.domain.images.mounts import ConfigFile, Mount, MountKind
from deployctl.domain.images.release import App, Bundle, LogCap, Probe, ProbeKind, Resources
from deployctl.domain.images.secret import SecretRef
from deployctl.domain.inputs.names import AppName

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WORDS = st.none() | st.lists(TEXT, min_size=1, max_size=4).map(tuple)
MAYBE = st.none() | TEXT
SECONDS = st.floats(0, 86400, allow_nan=False)
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda digits: f"sha256:{digits}")
PROBES = st.builds(
    Probe, kind=st.sampled_from(ProbeKind), path=TEXT, host=MAYBE, body=MAYBE, command=WORDS, interval=SECONDS,
    status=st.lists(st.tuples(st.integers(100, 599), st.integers(100, 599)), max_size=3).map(tuple), timeout=SECONDS,
    rise=st.integers(1, 100), fall=st.integers(1, 100), start_grace=SECONDS, deadline=SECONDS,
)  # fmt: skip
SET = st.none() | TEXT.filter(bool)
SECRETS = st.builds(SecretRef, TEXT.filter(bool), TEXT.filter(bool), env=SET, user=SET, mode=st.integers(1, 0o777))
BUNDLES = st.builds(
    Bundle, image=TEXT, digest=DIGEST, port=st.integers(1, 65535), entrypoint=WORDS, command=WORDS, user=MAYBE,
    working_dir=MAYBE, env=st.dictionaries(TEXT, TEXT).map(lambda env: tuple(sorted(env.items()))), stop_signal=MAYBE,
    stop_grace=SECONDS, init=st.booleans(), probe=PROBES, repo_digest=MAYBE,
    resources=st.builds(Resources, memory=st.integers(0), cpus=SECONDS, pids=st.integers(0)),
    log=st.builds(LogCap, max_size=st.integers(0), max_file=st.integers(0)),
    secrets=st.lists(SECRETS, max_size=3).map(tuple),
    networks=st.lists(TEXT, max_size=3).map(tuple), cap_add=st.lists(TEXT, max_size=3).map(tuple),
    shm_size=st.integers(0),
)  # fmt: skip
PLAIN = Bundle("acme/shop:v1", "sha256:" + "a" * 64, 8080, env=(("MODE", "shop"),))

OTHER: dict[str, Any] = {
    "digest": "sha256:" + "b" * 64, "port": 8081, "entrypoint": ("/bin/app",), "command": ("serve",), "user": "10001",
    "working_dir": "/srv", "env": (("MODE", "sale"),), "stop_signal": "SIGQUIT", "stop_grace": 11.0, "init": True,
    "resources": Resources(memory=2**20), "log": LogCap(max_file=9), "probe": Probe(rise=9),
    "networks": ("backend",), "cap_add": ("NET_RAW",), "mounts": (Mount(MountKind.VOLUME, "data", "/data", read_only=True),),
    "files": (ConfigFile("/a", "a", sha256="0" * 64),),
    "shm_size": 2**26,
    "secrets": (SecretRef("TOKEN", "0f" * 16, env="TOKEN", mode=0o440, user="app"),),
    "keys": EngineKeys(dns=("10.0.0.1",)),
}  # fmt: skip
NAMING: dict[str, Any] = {"image": "mirror/shop:v1", "repo_digest": "acme/shop@sha256:" + "c" * 64}


@given(BUNDLES)
def test_the_one_text_of_a_bundle_gives_the_very_bundle_back(bundle: Bundle) -> None:
    again = Bundle.from_canonical(bundle.canonical())
    assert again == bundle
    assert again.canonical() == bundle.canonical()
    assert again.hash() == bundle.hash()


@given(BUNDLES)
def test_the_text_is_canonical_json(bundle: Bundle) -> None:
    text = bundle.canonical()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert text.encode()


@given(BUNDLES, BUNDLES)
def test_two_bundles_share_a_hash_only_when_they_run_alike(one: Bundle, other: Bundle) -> None:
    same = replace(one, image="", repo_digest=None) == replace(other, image="", repo_digest=None)
    assert (one.hash() == other.hash()) == same


def test_every_field_is_either_part_of_how_it_runs_or_of_how_its_image_is_named() -> None:
    assert OTHER.keys() | NAMING.keys() == {field.name for field in fields(Bundle)}


@pytest.mark.parametrize("name", OTHER)
def test_a_change_of_how_it_runs_changes_the_hash(name: str) -> None:
    assert replace(PLAIN, **{name: OTHER[name]}).hash() != PLAIN.hash()


@pytest.mark.parametrize("name", NAMING)
def test_how_the_image_is_named_or_pulled_does_not_change_the_hash(name: str) -> None:
    assert replace(PLAIN, **{name: NAMING[name]}).hash() == PLAIN.hash()


@pytest.mark.parametrize(("part", "field"), [(part, field.name) for part in ("resources", "log", "probe")
                                             for field in fields(getattr(PLAIN, part))])
def test_every_limit_and_every_setting_of_the_probe_is_part_of_the_hash(part: str, field: str) -> None:
    inner = getattr(PLAIN, part)
    value = getattr(inner, field)
    changed = value + 1 if isinstance(value, int | float) else "tcp" if field == "kind" else ("something else",)
    assert replace(PLAIN, **{part: replace(inner, **{field: changed})}).hash() != PLAIN.hash()


def test_the_hash_of_a_bundle_is_the_same_in_every_release_of_deployctl() -> None:
    assert PLAIN.hash() == "13aa0e170018d397719e5d0965fc8b2da366c6fd958669b8954d817f42742cd2"


def test_the_order_of_variables_is_fixed_by_their_names() -> None:
    assert json.loads(replace(PLAIN, env=(("A", "1"), ("B", "2"))).canonical())["env"] == [["A", "1"], ["B", "2"]]


def test_a_bundle_holds_nothing_but_plain_values() -> None:
    full = replace(PLAIN, **OTHER)
    plain = json.loads(json.dumps(asdict(full)))
    assert plain.pop("probe") == {"uptime": 0.0, **(text := json.loads(full.canonical())).pop("probe")}
    for name in ("mounts", "files"):
        plain[name] = [{key: value for key, value in one.items() if value} for one in plain[name]]
    plain["keys"] = {key: value for key, value in plain["keys"].items() if value}
    assert plain == text


def test_a_key_that_came_later_stands_in_the_text_only_when_it_is_set() -> None:
    assert "networks" not in PLAIN.canonical()
    assert json.loads(replace(PLAIN, networks=("backend",)).canonical())["networks"] == ["backend"]


@pytest.mark.parametrize(
    ("fields_of_app", "address"),
    [({"listen": ("127.0.0.1", 8000)}, "127.0.0.1:8000"), ({"listen": ("::1", 8000)}, "[::1]:8000"),
     ({"hosts": ("a.example", "b.example")}, "a.example"), ({}, None)],
)
def test_an_address_is_written_as_people_read_it(fields_of_app: dict[str, Any], address: str | None) -> None:
    assert App(AppName("shop"), "", "", "", "", **fields_of_app).address == address
