"""The engine computes in 64-bit floats; the caller switches them on."""

from __future__ import annotations

import gc
import resource
from collections.abc import Iterator

import jax
import pytest

jax.config.update("jax_enable_x64", True)

MUCH = 3 << 20
"""kB that a process has held at most, from where on compiled programs are dropped after each file of tests."""


@pytest.fixture(autouse=True, scope="module")
def _room() -> Iterator[None]:
    """Programs of one file are of little use to the next, all of them come to 8 GB; kept on disk, they come back."""
    yield
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MUCH:
        jax.clear_caches()
        gc.collect()
