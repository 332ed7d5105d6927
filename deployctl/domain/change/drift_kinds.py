"""The codes of drift: what contradicts the ledger, and what brings the two together again."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from deployctl.domain.images.image_store import SWITCHED


class DriftKind(StrEnum):
    REMOVED = "removed"
    STOPPED = "stopped"
    PAUSED = "paused"
    MOVED = "moved"  # runs at another address
    REPLACED = "replaced"  # one of ours that bears its name; the ledger knows another id
    OTHER_IMAGE = "other_image"  # somebody made it again, of an image that is not its release's
    RENAMED = "renamed"
    LIMITS = "limits"
    CAPABILITIES = "capabilities"  # more of them than its release has
    RESTARTS = "restarts"  # Docker was told not to restart it
    FORMER_RESTART = "former_restart"  # `unless-stopped`, as 0.1.0 asked for
    RUNS = "runs"  # although nothing needs it to
    EXPIRED = "expired"  # a standby beyond keep_warm
    UNKNOWN = "unknown"  # made here; the ledger knows nothing of it
    STRANGER = "stranger"  # bears our labels without our seal
    NETWORK = "network"
    DISCONNECTED = "disconnected"  # from a network of others that its release joins
    CONNECTED = "connected"  # by hand, to a network that its release does not name
    GUARD = "guard"
    BRIDGE = "bridge"
    PIN = "pin"  # its address is not pinned to it, or to a MAC that it does not have
    ROUTE = "route"  # HAProxy serves nobody
    TRAFFIC = "traffic"  # HAProxy serves another release
    PROXY = "proxy"  # files or state of HAProxy
    IMAGE = "image"  # kept for nothing, or no longer kept
    EMPTY = "empty"  # network and guard route of an app without containers
    STORE = SWITCHED  # the engine uses another one, and hides what was made
    INTERRUPTED = "interrupted"
    BUSY = "busy"
    FAILED = "failed"  # the pass itself


class Mend(StrEnum):
    """What brings actual state and ledger together again."""

    GUARD = "guard"
    PIN = "pin"
    UNPIN = "unpin"
    NETWORK = "network"
    ADOPT = "adopt"
    RENAME = "rename"
    LIMIT = "limit"
    RESTART = "restart"
    REMOVE = "remove"
    REMAKE = "remake"
    CREATE = "create"
    START = "start"
    SWITCH = "switch"
    CONNECT = "connect"
    STOP = "stop"
    FORGET = "forget"
    UNTAG = "untag"
    KEEP = "keep"
    CLEAR = "clear"
    SYNC = "sync"
    RECOVER = "recover"
    FOLLOW = "follow"


# As people read it: what is done, or would be.
MEND_TEXT: Mapping[Mend, str] = {
    Mend.GUARD: "restore its guard route",
    Mend.PIN: "pin its address",
    Mend.UNPIN: "unpin its address",
    Mend.NETWORK: "recreate its network",
    Mend.ADOPT: "adopt it as that release's container",
    Mend.RENAME: "restore its name",
    Mend.LIMIT: "restore its limits",
    Mend.RESTART: "restore its restart policy",
    Mend.REMOVE: "remove it",
    Mend.REMAKE: "remove it and recreate it",
    Mend.CREATE: "recreate it from its image",
    Mend.START: "start it",
    Mend.SWITCH: "route the traffic to it again",
    Mend.CONNECT: "reconnect it",
    Mend.STOP: "stop it",
    Mend.FORGET: "remove it from the ledger",
    Mend.UNTAG: "remove the tag",
    Mend.KEEP: "tag its image again",
    Mend.CLEAR: "remove its network and guard route",
    Mend.SYNC: "rewrite HAProxy's files and state",
    Mend.RECOVER: "finish it or revert it",
    Mend.FOLLOW: "update the ledger to match",
}
