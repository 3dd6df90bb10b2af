#!/bin/sh
# Makes .venv and installs preop with the pinned versions of constraints.txt. Run by `make setup`.
set -eu
cd "$(dirname "$0")/.."

python=$(sh scripts/find_python.sh)
# Keep an environment that works and is new enough; replace one that a moved or upgraded Python left broken.
if ! .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
    echo "preop: making .venv with $("$python" -c 'import sys; print("Python %d.%d.%d" % sys.version_info[:3])')"
    "$python" -m venv --clear .venv
fi

pinned() { sed -n "s/^\($1==[^ ;]*\).*/\1/p" constraints.txt; }
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

echo "preop: installing the pinned packages into .venv (2.6 GB on disk; a few minutes)"
# At a terminal pip shows its progress; in a log that would be hundreds of lines.
quiet=--quiet
if [ -t 1 ]; then quiet=; fi
# The build backend is pinned too, which pip does only without build isolation.
# shellcheck disable=SC2086
pip install $quiet "$(pinned pip)" "$(pinned setuptools)"
# setuptools warns that an editable install is not for production; people need not read that.
# shellcheck disable=SC2086
PYTHONWARNINGS=ignore pip install $quiet --no-build-isolation --constraint constraints.txt \
    --editable ".[${EXTRAS:-viewer,xr,dev}]"
pip check --quiet || pip check

# Lets the type checker find `preop.…` in scripts, benchmarks and tests: it does not follow an editable install.
mkdir -p .venv/typing
ln -sfn ../.. .venv/typing/preop
