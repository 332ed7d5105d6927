"""The labels and names of everything that we make in Docker. Ownership is a label, never a name that is parsed."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from deployctl.bundle_label import bundle_labels
from deployctl.domain.names import AppName
from deployctl.domain.release import Release
from deployctl.ports import Services


def home_mark(home: Path) -> str:
    """Return 6 hex characters that tell two homes on one engine apart."""
    return hashlib.sha256(str(home).encode()).hexdigest()[:6]


def network_name(home: Path, app: AppName) -> str:
    return f"deployctl-{app}-{home_mark(home)}"


def bridge_name(home: Path, app: AppName) -> str:
    """Return the host interface's name: at most 15 characters, the kernel's limit."""
    return "dc-" + hashlib.sha256(f"{home}\0{app}".encode()).hexdigest()[:10]


def container_name(home: Path, release: Release) -> str:
    return f"{release.app}--{release.version}--r{release.number}--{home_mark(home)}"


def host_name(release: Release) -> str:
    """Return the container's own name in its network. A bare app name would be that of all its versions at once."""
    return f"{release.app}-r{release.number}"


def keep_tag(home: Path, app: AppName, number: int) -> str:
    """Return the tag of ours that keeps a release's image from being cleaned away."""
    return f"deployctl/{app}:r{number}-{home_mark(home)}"


def common_labels(s: Services, app: AppName) -> dict[str, str]:
    return {**dict(s.spec.labels), "deployctl.managed": "1", "deployctl.home": str(s.home), "deployctl.app": app}


def container_labels(s: Services, release: Release, *, operation: int) -> dict[str, str]:
    """Return every label of a container; the seal is a keyed hash, so that no image can claim to be ours."""
    return {
        **common_labels(s, release.app),
        "deployctl.version": release.version,
        "deployctl.release": str(release.number),
        "deployctl.operation": str(operation),
        "deployctl.seal": seal(s.ledger.secret, s.home, release.app, release.number),
        **bundle_labels(s.ledger.secret, release.app, release.bundle),
    }


def seal(secret: bytes, home: Path, app: str, number: int) -> str:
    """Return the keyed hash that only this home can give to a container of that release."""
    return hmac.new(secret, f"{home}\0{app}\0{number}".encode(), "sha256").hexdigest()
