#!/usr/bin/env bash
# setuptools 80.9.0: an editable install makes every start of Python in that environment load twice the modules.
#
# Behaviour: `python -c` in a fresh environment has 33 modules loaded. After `pip install -e` of a project whose only package
# lies beside pyproject.toml it has 68, pathlib, re and urllib.parse among them, in every program of that environment, whether
# or not it imports the project: a .pth file imports a finder with its dependencies at each start. The same project with
# its package below src/ adds a plain path instead, and no module.
# Seen with: PyPI setuptools 80.9.0, Python 3.11, Linux.
# Exit 0: as described. 1: it behaves otherwise now.
set -euo pipefail
work=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check setuptools==80.9.0
loaded() { "$work/venv/bin/python" -c 'import sys; print(len(sys.modules), "urllib.parse" in sys.modules)'; }
project() { # NAME FOLDER_OF_THE_PACKAGE WHERE_SETUPTOOLS_FINDS_IT
    mkdir -p "$work/$1/$2"
    : >"$work/$1/$2/__init__.py"
    printf '%s\n' '[build-system]' 'requires = ["setuptools"]' 'build-backend = "setuptools.build_meta"' \
        '[project]' "name = \"$1\"" 'version = "1"' "$3" >"$work/$1/pyproject.toml"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e "$work/$1"
}
fresh=$(loaded)
project below-src src/package_one '[tool.setuptools.packages.find]
where = ["src"]'
below=$(loaded)
project beside package_two '[tool.setuptools]
packages = ["package_two"]'
beside=$(loaded)
echo "modules loaded at start, and whether urllib.parse is one: fresh $fresh; package below src/ $below; package beside pyproject.toml $beside"
if [ "$fresh" = "$below" ] && [ "${fresh#* }" = False ] && [ "${beside#* }" = True ] && [ "${beside% *}" -ge "$((${fresh% *} + 25))" ]; then
    echo 'as described'
else
    echo 'behaves otherwise now'
    exit 1
fi
