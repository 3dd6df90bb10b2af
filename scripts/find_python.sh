#!/bin/sh
# Prints the first Python that preop can run on: $PYTHON if given, else the newest of those tried first.
# Says in one line what to install where there is none, or where it lacks venv.
set -eu

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
# Debian and Ubuntu ship Python without ensurepip, and `python -m venv` fails half-way there.
can_make_venv='import ensurepip, venv'

found=
for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
    # A version manager's shim exists, and fails, for a version that is not chosen.
    "$candidate" -c "$new_enough" >/dev/null 2>&1 || continue
    found=$candidate
    if "$candidate" -c "$can_make_venv" >/dev/null 2>&1; then
        echo "$candidate"
        exit 0
    fi
done

if [ -n "$found" ]; then
    version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "preop: $found has no venv and ensurepip. Install the package python$version-venv (Debian, Ubuntu), then run make again" >&2
elif [ -n "${PYTHON:-}" ]; then
    echo "preop: PYTHON=$PYTHON is not a Python 3.11 or newer" >&2
else
    echo "preop: no Python 3.11 or newer found. Install one (Debian, Ubuntu: python3 python3-venv), or give its path: make PYTHON=/path/to/python3" >&2
fi
exit 1
