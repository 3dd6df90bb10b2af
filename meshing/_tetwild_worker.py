"""Run fTetWild in a process of its own: `python -m preop.meshing._tetwild_worker IN.npz OUT.npz`.

fTetWild blocks, does not hear Ctrl-C, and may end the process. Here it can be killed,
its output stays out of sight and its memory can be limited.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

import numpy as np

PARENT = "PREOP_WORKER_OF"
"""Environment variable with the process id of who waits."""
_PR_SET_PDEATHSIG = 1


def main(source: str, target: str) -> None:
    """Read points, triangles and options; write points and tetrahedra."""
    _end_with_parent()
    with np.load(source) as given:
        job = dict(given)
    if job["memory_limit_bytes"] > 0:
        _limit_memory(int(job["memory_limit_bytes"]))
    import pytetwild
    from pytetwild import PyfTetWildWrapper

    from ._repeatable import seed_entropy

    seed_entropy(str(PyfTetWildWrapper.__file__), int(job["seed"]))

    field = {}
    if "bg_values" in job:
        field = {name: job[name] for name in ("bg_vertices", "bg_tets", "bg_values")}
    points, tetrahedra = pytetwild.tetrahedralize(
        job["points"],
        job["triangles"].astype(np.int32),
        edge_length_abs=float(job["edge_length_mm"]),
        epsilon=float(job["epsilon_relative"]),
        stop_energy=float(job["stop_energy"]),
        coarsen=bool(job["coarsen"]),
        num_opt_iter=int(job["iterations"]),
        num_threads=int(job["threads"]),
        disable_filtering=bool(job["keep_outside"]),
        quiet=True,
        **field,
    )
    np.savez(target, points=points, tetrahedra=tetrahedra)


def _end_with_parent() -> None:
    """Have the kernel end this process with the one that waits for it, however that ends (Linux)."""
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    except (OSError, AttributeError):
        return
    # It may have ended before the kernel was asked.
    if os.environ.get(PARENT, str(os.getppid())) != str(os.getppid()):
        sys.exit("the process that asked for the mesh is gone")


def _limit_memory(limit: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no rlimits
        return
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
