"""Choosing the device: what is told, and what is refused in one line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from preop.engine.device import select_device
from preop.imaging.errors import SolverError


def test_an_unknown_device_is_refused():
    with pytest.raises(SolverError, match="unknown device tpu"):
        select_device("tpu")


@pytest.mark.parametrize(
    ("asked", "said"), [("auto", "JAX_PLATFORMS=cuda"), ("gpu", "JAX_PLATFORMS=cuda"), ("cpu", "cpu")]
)
def test_a_platform_that_does_not_start(asked, said):
    """In a process of its own: JAX starts its platforms once. `--device cpu` outdoes the variable."""
    code = (
        "from preop.engine.device import select_device\n"
        "from preop.imaging.errors import SolverError\n"
        f"try: print(select_device({asked!r}))\n"
        "except SolverError as error: print(error.line())\n"
    )
    # No card is to be seen, also where there is one.
    environment = {**os.environ, "JAX_PLATFORMS": "cuda", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert len(done.stdout.splitlines()) == 1
