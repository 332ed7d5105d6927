"""Fill a home with apps, each with one live version, on an engine in memory: run with the packages of either build.

Arguments: the home, how many apps, how many components each has (1), the first one's port. It prints what the engine has,
for `stand_in.py`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from deployctl.bootstrap import services
from deployctl.config.settings import Settings
from deployctl.domain.inputs.names import AppName, Version
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.ports import Image
from deployctl.testing.fake_clock import FakeClock
from deployctl.testing.fake_engine import FakeEngine
from deployctl.testing.fake_guard import FakeGuard
from deployctl.testing.fake_images import made_up
from deployctl.testing.fake_prober import FakeProber
from deployctl.testing.fake_traffic import FakeTraffic
from deployctl.testing.silent_reporter import SilentReporter
from deployctl.usecases.change.upgrade import upgrade

FIRST_PORT = 21_000
SERVER = '[network]\nreach = "loopback"\n[ports]\nrange = "30000-39999"\n'


class HurriedClock(SystemClock):
    """Real time without waiting: what is probed in memory responds immediately."""

    def sleep(self, seconds: float) -> None:
        """Return at once."""


def fill(home: Path, apps: int, components: int = 1, first_port: int = FIRST_PORT) -> dict[str, Any]:
    settings = Settings(home)
    settings.config_dir.mkdir(exist_ok=True)
    settings.server_file.write_text(SERVER)
    real = services(settings, reporter=SilentReporter(), actor="bench")
    ledger: Any = real.ledger
    ledger.db.raw.execute("pragma synchronous = off")  # nothing of it has to survive a power cut
    engine: Any = FakeEngine(getattr(ledger, "identity", str(home)), clock=FakeClock())  # 0.1.0 identified a home by its path
    traffic = FakeTraffic(lambda: real.ledger.table(bridged=False))
    traffic.ensure_up()
    s = replace(real, engine=engine, traffic=traffic, prober=FakeProber(), guard=FakeGuard(), clock=HurriedClock())
    s = replace(s, hands=1) if hasattr(s, "hands") else s  # in memory nothing takes long
    files = {}
    for number in range(apps):
        name = AppName(f"app-{number}")
        file = settings.app_file(name)
        workers = "".join(f'[components.worker{one}]\nhealth = {{ uptime = "0s" }}\n' for one in range(1, components))
        file.write_text(f'image = "acme/{name}"\nport = 8080\nlisten = {first_port + number}\n{workers}')
        files[file] = file.read_text()
        plain = made_up(f"acme/{name}:v1")
        engine.images.add(f"acme/{name}:v1", image=Image(plain.digest, plain.architecture, plain.os, plain.size,
                                                         command=("serve",), ports=(8080,)))
        upgrade(name, Version("v1"), s)
        file.unlink()  # each one is checked against all others: that is not what is measured here
    for file, text in files.items():
        file.write_text(text)
    tags: dict[str, list[str]] = {}
    for tag in engine.kept_tags():
        tags.setdefault(tag.partition(":")[0], []).append(tag)
    return {"containers": [{**asdict(one), "tags": tags[f"deployctl/{one.labels['deployctl.app']}"]}
                           for one in map(engine.find_container, [c.id for c in engine.containers()])],
            "networks": [asdict(one) for one in engine.networks()]}


if __name__ == "__main__":
    print(json.dumps(fill(Path(sys.argv[1]), *map(int, sys.argv[2:])), default=str))
