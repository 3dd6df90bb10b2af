"""fTetWild (Hu et al. 2020, MPL-2.0) as a killable, silent child process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError
from ..imaging.progress import Progress, silent
from ._tetwild_worker import PARENT
from .mesh import signed_volumes
from .sizing import SizingField


def fill(
    points: NDArray[np.float64],
    triangles: NDArray[np.int32],
    *,
    edge_length_mm: float,
    epsilon_mm: float,
    stop_energy: float = 10.0,
    iterations: int = 80,
    coarsen: bool = False,
    keep_outside: bool = False,
    sizing: SizingField | None = None,
    threads: int = 0,
    timeout: float = 1200.0,
    memory_limit_bytes: int = 0,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Tetrahedra that follow a triangle soup within `epsilon_mm`.

    The soup may intersect itself and may hold inner interfaces; they become faces of the
    mesh. Volumes come out positive: fTetWild's own orientation is turned round.

    Args:
        points: (V, 3) mm.
        triangles: (F, 3).
        edge_length_mm: ideal edge length.
        epsilon_mm: half-width of the envelope around the input that the output stays in.
        stop_energy: AMIPS energy at which the improvement stops (3 is the regular tetrahedron).
        iterations: most passes of improvement.
        coarsen: take out as many elements as quality allows.
        keep_outside: also return the tetrahedra between the soup and a box around it.
        sizing: edge lengths that differ from place to place; beyond it `edge_length_mm` holds.
        threads: 0 for all.
        timeout: seconds.
        memory_limit_bytes: address space of the child; 0 for no limit.
        seed: of fTetWild's shuffles; the same input and seed give the same mesh (on 64-bit Linux).
        progress: told the seconds that went by.

    Raises:
        MeshError: fTetWild failed, ran out of time or memory, or gave no element.
    """
    diagonal = float(np.linalg.norm(np.ptp(points, axis=0)))
    job = {
        "points": np.asarray(points, dtype=np.float64), "triangles": np.asarray(triangles, dtype=np.int32),
        "edge_length_mm": edge_length_mm, "epsilon_relative": epsilon_mm / diagonal, "stop_energy": stop_energy,
        "iterations": iterations, "coarsen": coarsen, "keep_outside": keep_outside, "threads": threads,
        "memory_limit_bytes": memory_limit_bytes, "seed": seed,
    }  # fmt: skip
    if sizing is not None:
        job |= {"bg_vertices": sizing.points, "bg_tets": sizing.tetrahedra, "bg_values": sizing.edge_mm}
    with tempfile.TemporaryDirectory(prefix="preop-tetwild-") as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(source, **job)
        _run(source, target, Path(folder), timeout, progress)
        with np.load(target) as made:
            nodes, tetrahedra = made["points"], made["tetrahedra"].astype(np.int32)
    if not len(tetrahedra):
        raise MeshError("fTetWild gave no tetrahedron", advice="The surface may be open or inside out: check it")
    return positive(nodes, tetrahedra)


def positive(
    points: NDArray[np.float64], tetrahedra: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Turn tetrahedra of negative volume round, and drop those without volume."""
    turned, kept = turned_round(points, tetrahedra)
    return points, turned[kept]


def turned_round(
    points: NDArray[np.float64], tetrahedra: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """(E, 4) the tetrahedra with those of negative volume turned round, and (E,) which of them have a volume."""
    volumes = signed_volumes(points, tetrahedra)
    turned = np.where((volumes < 0)[:, None], tetrahedra[:, [0, 1, 3, 2]], tetrahedra)
    span = np.linalg.norm(np.ptp(points, axis=0))
    return turned.astype(np.int32), np.abs(volumes) > 1e-16 * span**3


def _run(source: Path, target: Path, folder: Path, timeout: float, progress: Progress) -> None:
    command = [sys.executable, "-m", "preop.meshing._tetwild_worker", str(source), str(target)]
    began = time.monotonic()
    with open(folder / "log", "w+b") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            cwd=folder, env={**os.environ, PARENT: str(os.getpid())},
        )  # fmt: skip
        try:
            while child.poll() is None:
                passed = time.monotonic() - began
                progress(None, f"{passed:.0f} s elapsed")
                if passed > timeout:
                    raise MeshError(
                        f"fTetWild did not finish within {timeout:.0f} s",
                        advice="Ask for fewer tetrahedra or a longer edge, or allow more time",
                    )
                _wait(child, 0.5)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
        log.seek(0)
        words = log.read().decode(errors="replace").strip().splitlines()
    if child.returncode != 0 or not target.exists():
        reason = words[-1] if words else "no message"
        raise MeshError(
            f"fTetWild stopped with code {child.returncode} ({reason})",
            advice="Ask for fewer tetrahedra, smooth the labels, or free memory",
        )


def _wait(child: subprocess.Popen, seconds: float) -> None:
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return
