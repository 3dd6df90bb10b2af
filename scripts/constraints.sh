#!/bin/sh
# Writes constraints.txt anew: the newest versions that the ranges in pyproject.toml allow, whole closure. Run by
# `make constraints` with the oldest Python we support, so that every pin also exists for it.
# Names and versions only: no download addresses, no index options.
set -eu
cd "$(dirname "$0")/.."

python=$(PYTHON="${PYTHON:-python3.11}" sh scripts/find_python.sh)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
"$python" -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip --disable-pip-version-check "$@"; }

pip install --quiet --upgrade pip "setuptools>=77"
pip install --quiet --only-binary :all: --no-build-isolation --editable ".[viewer,xr,dev]"
{
    echo "# Versions that preop is tested with: runtime, every extra, and the build backend."
    echo "# Made by \`make constraints\`; edit the ranges in pyproject.toml instead."
    pip freeze --all --exclude-editable --exclude preop | LC_ALL=C sort -f
    echo "# The gpu extra on top of these (Linux)."
    pip install --quiet --only-binary :all: --no-build-isolation --dry-run --report "$work/gpu.json" --editable ".[gpu]" >&2
    "$python" -c 'import json, sys
found = (one["metadata"] for one in json.load(open(sys.argv[1]))["install"])
print(*sorted("{name}=={version}".format(**one) for one in found if one["name"] != "preop"), sep="\n")' "$work/gpu.json"
} >"$work/constraints.txt"
if grep -nE '://| @ |^-' "$work/constraints.txt"; then
    echo "preop: constraints must be plain name==version lines; see above" >&2
    exit 1
fi
mv "$work/constraints.txt" constraints.txt
echo "preop: constraints.txt holds $(grep -c == constraints.txt) versions"
