"""A disk that is full while meshes are written: one error, no dump of a library, nothing left."""

from __future__ import annotations

import subprocess
import sys

import pytest

WRITE = """
import sys
import numpy as np
from preop.imaging.errors import DiskError
from preop.meshing.io import write_surface, write_tetrahedra
from preop.meshing.mesh import SurfaceMesh, TetMesh
rng = np.random.default_rng(0)
points = rng.normal(size=(60_000, 3))
try:
    if sys.argv[1].endswith(".vtu"):
        cells = np.arange(len(points), dtype=np.int32).reshape(-1, 4)
        edges = points[cells[:, 1:]] - points[cells[:, :1]]
        turned = np.linalg.det(edges) < 0
        cells[turned, :2] = cells[turned, 1::-1]
        write_tetrahedra(sys.argv[1], TetMesh(points, cells, np.zeros(len(cells), np.int32), {0: "liver"}))
    else:
        write_surface(sys.argv[1], SurfaceMesh(points, rng.integers(0, len(points), (40_000, 3)).astype(np.int32)))
except DiskError as error:
    print(error.line())
"""


@pytest.mark.parametrize("name", ["a.vtp", "a.stl", "a.glb", "a.vtu"])
def test_a_full_disk_is_told_in_one_line(tmp_path, name):
    """A file system of half a megabyte, in a mount namespace of its own."""
    (tmp_path / "disk").mkdir()
    small = 'mount -t tmpfs -o size=512k none disk && "$@"; code=$?; ls -A disk; exit $code'
    if subprocess.run(["unshare", "-rm", "sh", "-c", small, "sh", "true"], cwd=tmp_path, check=False).returncode:
        pytest.skip("no file system can be mounted here, not even for one process")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", small, "sh", sys.executable, "-c", WRITE, f"disk/{name}"],
        cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"disk/{name}: the disk is full. Free some space, or write to another place"]
