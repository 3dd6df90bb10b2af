"""What every test runs under: float64, CPU, no window, a fixed seed. Set before any library reads it.

Nothing heavy is imported here: the tests of the command line's speed run under it too.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter

import pytest

# A value that is already set wins, so the same tests run on a GPU with JAX_PLATFORMS=cuda.
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("PYVISTA_OFF_SCREEN", "true")
os.environ.setdefault("MPLBACKEND", "Agg")
# As the command line does: with threads the small dense kernels of a solve only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Compiling is most of what these tests do: without LLVM's optimisation four files of derivatives took a quarter less.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

SEED = 20240229
COMPILED = "JAX_COMPILATION_CACHE_DIR"


def pytest_configure(config: pytest.Config) -> None:
    """Choose the off-screen window before a test imports VTK: without a choice VTK may end the whole run.

    Workers and the commands that tests start share compiled programs in a folder that is gone after the run.
    """
    if COMPILED not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="preop-compiled-")
        config.add_cleanup(folder.cleanup)
        os.environ[COMPILED] = folder.name
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    from preop.imaging.errors import MissingLibraryError
    from preop.scenes.gl import prepare_off_screen

    try:
        prepare_off_screen()
    except MissingLibraryError as error:
        # The tests that render say so themselves.
        os.environ["PREOP_NO_OFF_SCREEN"] = error.line()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with most slow tests first: a worker that starts a long file last leaves the other with nothing to do."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The global generators that libraries draw from start alike in every test. Our own code takes a seed."""
    import random

    import numpy as np

    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002


@pytest.fixture
def off_screen() -> str:
    """For tests that render: the VTK window class in use, or a skip that says what is missing."""
    if reason := os.environ.get("PREOP_NO_OFF_SCREEN"):
        pytest.skip(reason)
    return os.environ.get("VTK_DEFAULT_OPENGL_WINDOW", "native")
