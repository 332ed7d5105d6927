"""The codes of drift: what contradicts the ledger, and how it is repaired."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from deployctl.domain.images.image_store import SWITCHED


class DriftKind(StrEnum):
    REMOVED = "removed"  # the container was removed
    STOPPED = "stopped"  # the container does not run
    PAUSED = "paused"  # the container is paused
    MOVED = "moved"  # the container runs at another address
    REPLACED = "replaced"  # another container of ours has its name; the ledger knows another id
    OTHER_IMAGE = "other_image"  # someone recreated the container from an image other than its release's
    RENAMED = "renamed"  # the container was renamed
    LIMITS = "limits"  # the container has other limits than its release
    CAPABILITIES = "capabilities"  # the container has more capabilities than its release
    RESTARTS = "restarts"  # Docker does not restart the container after a crash
    FORMER_RESTART = "former_restart"  # the container has the restart policy `unless-stopped` of 0.1.0
    SECRETS = "secrets"  # the container's secrets are not in memory: it could not start again
    RUNS = "runs"  # the container runs although nothing needs it
    SURPLUS = "surplus"  # a replica beyond the number that there are to be
    EXPIRED = "expired"  # a standby still runs beyond `keep_warm`
    UNKNOWN = "unknown"  # a container of this home that the ledger does not know
    STRANGER = "stranger"  # a container with our labels, but without our signature
    NETWORK = "network"  # the app's network was removed
    DISCONNECTED = "disconnected"  # the container is not in a network that its release joins
    CONNECTED = "connected"  # someone connected the container to a network that its release does not join
    GUARD = "guard"  # the guard route of the app's subnet is missing
    BRIDGE = "bridge"  # the network's bridge is missing or down
    PIN = "pin"  # the address is not pinned to its container, or to a MAC that is not the container's
    ROUTE = "route"  # HAProxy has lost the route: visitors get 503
    TRAFFIC = "traffic"  # HAProxy routes to another release than the ledger says
    PROXY = "proxy"  # HAProxy's files or state differ from the ledger
    IMAGE = "image"  # an image is kept for no container, or has lost the tag that keeps it
    EMPTY = "empty"  # the network and guard route of an app without containers
    STORE = SWITCHED  # Docker uses another image store, which hides what was created before
    VOLUME = "volume"  # a volume that a kept release mounts is gone, and its data
    CONFIG_FILE = "config_file"  # the kept copy of a config file of a kept release is missing or was edited
    INTERRUPTED = "interrupted"  # a deployment was interrupted
    BUSY = "busy"  # someone is changing the app right now
    FAILED = "failed"  # checking this app failed


class Repair(StrEnum):
    """How a drift is repaired."""

    GUARD = "guard"
    PIN = "pin"
    UNPIN = "unpin"
    NETWORK = "network"
    ADOPT = "adopt"
    RENAME = "rename"
    LIMIT = "limit"
    RESTART = "restart"
    SECRETS = "secrets"
    REMOVE = "remove"
    REMAKE = "remake"
    CREATE = "create"
    START = "start"
    SWITCH = "switch"
    CONNECT = "connect"
    STOP = "stop"
    REST = "rest"
    SHRINK = "shrink"
    FORGET = "forget"
    UNTAG = "untag"
    KEEP = "keep"
    CLEAR = "clear"
    SYNC = "sync"
    RECOVER = "recover"
    FOLLOW = "follow"


# For display: what is done, or would be.
REPAIR_TEXT: Mapping[Repair, str] = {
    Repair.GUARD: "restore its guard route",
    Repair.PIN: "pin its address",
    Repair.UNPIN: "unpin its address",
    Repair.NETWORK: "recreate its network",
    Repair.ADOPT: "adopt it as that release's container",
    Repair.RENAME: "restore its name",
    Repair.LIMIT: "restore its limits",
    Repair.RESTART: "restore its restart policy",
    Repair.SECRETS: "lay its secrets into memory again",
    Repair.REMOVE: "remove it",
    Repair.REMAKE: "remove it and recreate it",
    Repair.CREATE: "recreate it from its image",
    Repair.START: "start it",
    Repair.SWITCH: "route the traffic to it again",
    Repair.CONNECT: "reconnect it",
    Repair.STOP: "stop it",
    Repair.REST: "stop it",
    Repair.SHRINK: "drain it and remove it",
    Repair.FORGET: "remove it from the ledger",
    Repair.UNTAG: "remove the tag",
    Repair.KEEP: "tag its image again",
    Repair.CLEAR: "remove its network and guard route",
    Repair.SYNC: "rewrite HAProxy's files and state",
    Repair.RECOVER: "finish it or revert it",
    Repair.FOLLOW: "update the ledger to match",
}
