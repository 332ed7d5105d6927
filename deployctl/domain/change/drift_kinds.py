"""The codes of drift: what contradicts the ledger, and what brings the two together again."""

from __future__ import annotations

from enum import StrEnum

from deployctl.domain.images.image_store import SWITCHED


class Kind(StrEnum):
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
    """What brings world and ledger together again, as it is told to people."""

    GUARD = "put its guard route back"
    PIN = "pin its address to it"
    UNPIN = "take the pin of its address away"
    NETWORK = "make its network again"
    ADOPT = "take it for the one that is meant"
    RENAME = "give it its name back"
    LIMIT = "give it its limits back"
    RESTART = "let Docker restart it again"
    REMOVE = "remove it"
    REMAKE = "remove it and make it again"
    CREATE = "make it again from its image"
    START = "start it"
    SWITCH = "give it the traffic again"
    CONNECT = "connect it again"
    STOP = "stop it"
    FORGET = "forget it"
    UNTAG = "give the image back"
    KEEP = "keep its image again"
    CLEAR = "remove its network and guard route"
    SYNC = "write HAProxy's files and state anew"
    RECOVER = "finish it or take it back"
    FOLLOW = "let the ledger follow"
