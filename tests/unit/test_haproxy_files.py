"""Which of HAProxy's files a change of traffic waits for the disk for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployctl.domain.host.server import ServerSpec
from deployctl.effects.haproxy.config.files import HaproxyFiles
from deployctl.effects.haproxy.home import HaproxyHome
from deployctl.effects.haproxy.socket import wire


def test_routes_are_flushed_and_what_previews_select_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    files = HaproxyFiles(HaproxyHome(tmp_path), ServerSpec())
    assert files.write_routes({"shop": "1"})
    assert len(flushed) == 2, "the file and its folder"
    assert files.write_map(wire.KNOWN, {"shop.1": "1"}, durable=False)
    assert files.find_map(wire.KNOWN) == {"shop.1": "1"}
    assert len(flushed) == 2
