#!/bin/bash
# Installs the peers of `benchmarks/tissue_peers.py`: dolfinx 0.5 from Debian, scikit-fem with PyAMG in a
# virtual environment beside this file. Run by hand, as root; nothing of preop depends on either.
set -e
here="$(cd "$(dirname "$0")" && pwd)"
if command -v apt-get > /dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-dolfinx
fi
python3 -m venv "$here/.venv"
"$here/.venv/bin/python" -m pip install -q "scikit-fem>=11" "pyamg>=5.2" "numpy>=2" "scipy>=1.13"
