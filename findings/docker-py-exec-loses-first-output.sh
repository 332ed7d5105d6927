#!/usr/bin/env bash
# docker-py 7.2.0: output of an exec that arrives together with the head of the response is lost, without an error.
#
# Behaviour: a stand-in for the engine on a Unix socket responds to POST /exec/ID/start with 101 and the multiplexed stream
# that Docker documents: one frame "first", and 0.3 s later one frame "second". If the first frame is sent 0.3 s after the
# head, exec_start() returns both. If head and first frame are sent in one piece, as a quick command may cause it, it returns
# only "second"; stream, demux and socket lose it as well. The head is read through a buffer, and what the buffer holds
# beyond the head is never looked at: reading goes on at the raw socket.
# Seen with: PyPI docker 7.2.0 (requests and urllib3 as installed with it), Python 3.11, Linux. No Docker engine is needed.
# Exit 0: as described. 1: it behaves otherwise now.
set -euo pipefail
work=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check docker==7.2.0
"$work/venv/bin/python" - "$work" <<'PY'
import pathlib, socket, sys, threading, time
import docker

path = pathlib.Path(sys.argv[1], "engine.sock")
engine = socket.socket(socket.AF_UNIX)
engine.bind(str(path))
engine.listen()
HEAD = (b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n"
        b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
in_one_piece = False


def frame(text):  # stream 1 is stdout, then three zero bytes, then the length
    return b"\x01\0\0\0" + len(text).to_bytes(4, "big") + text


def respond(connection):
    reader = connection.makefile("rb")
    length = 0
    while (line := reader.readline().strip()):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    reader.read(length)
    for piece in [HEAD + frame(b"first ")] if in_one_piece else [HEAD, frame(b"first ")]:
        connection.sendall(piece)
        time.sleep(0.3)
    connection.sendall(frame(b"second"))
    connection.shutdown(socket.SHUT_RDWR)


def serve():
    while True:
        connection, _ = engine.accept()
        threading.Thread(target=respond, args=(connection,), daemon=True).start()


threading.Thread(target=serve, daemon=True).start()
seen = {}
for in_one_piece in (False, True):
    api = docker.APIClient(base_url=f"unix://{path}", version="1.41", timeout=10)
    output = api.exec_start("0123456789ab")
    streamed = b"".join(api.exec_start("0123456789ab", stream=True))
    seen[in_one_piece] = output, streamed
    print("head and first frame", "in one piece:" if in_one_piece else "0.3 s apart:", output, "· stream:", streamed)
as_described = seen == {False: (b"first second",) * 2, True: (b"second",) * 2}
print("as described" if as_described else "behaves otherwise now")
sys.exit(not as_described)
PY
