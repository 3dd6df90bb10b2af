"""Hexahedra: read whole from a file, turned the right way round, and refused where they are folded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from preop.imaging.errors import MeshError
from preop.meshing.hexahedra import boundary_quadrangles, read_hexahedra
from preop.meshing.mesh import HexMesh
from shared_data import shared

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], float)


def two_bricks() -> tuple[np.ndarray, np.ndarray]:
    """Twelve points (cm) and two hexahedra side by side, the second numbered upside down."""
    points = np.concatenate([CORNERS, [[2, 0, 0], [2, 1, 0], [2, 0, 1], [2, 1, 1]]])
    return points, np.array([[0, 1, 2, 3, 4, 5, 6, 7], [5, 10, 11, 6, 1, 8, 9, 2]])


def write(path: Path, points: np.ndarray, hexahedra: np.ndarray) -> Path:
    nodes = [f"{10 + k} {x} {y} {z}" for k, (x, y, z) in enumerate(points)]
    cells = [f"{k + 1} 5 2 0 1 " + " ".join(str(10 + n) for n in row) for k, row in enumerate(hexahedra)]
    lines = ["$MeshFormat", "2.2 0 8", "$EndMeshFormat", "$Nodes", str(len(nodes)), *nodes, "$EndNodes"]
    path.write_text("\n".join([*lines, "$Elements", str(len(cells)), *cells, "$EndElements", ""]), encoding="ascii")
    return path


def test_hexahedra_are_read_whole(tmp_path: Path) -> None:
    """Two of 1 cm: 1000 mm³ each, ten outer faces whose normals point outward."""
    points, cells = two_bricks()
    mesh = read_hexahedra(write(tmp_path / "two.msh", points, cells), unit="cm", name="bar")
    assert mesh.volumes == pytest.approx([1000.0, 1000.0])
    assert mesh.region_names == {1: "bar"}
    faces = mesh.facet_sets["surface"]
    corner = mesh.points[faces]
    normal = np.cross(corner[:, 2] - corner[:, 0], corner[:, 3] - corner[:, 1]) / 2
    assert len(faces) == 10
    assert np.einsum("fi,fi->", normal, corner.mean(axis=1)) / 3 == pytest.approx(2000.0)  # the divergence theorem


def test_a_vtk_file_holds_the_same(tmp_path: Path) -> None:
    points, cells = two_bricks()
    rows = [" ".join(map(str, row)) for row in (*points, *np.insert(cells, 0, 8, axis=1))]
    head = ["# vtk DataFile Version 3.0", "two", "ASCII", "DATASET UNSTRUCTURED_GRID", f"POINTS {len(points)} double"]
    lines = [*head, *rows[: len(points)], "CELLS 2 18", *rows[len(points) :], "CELL_TYPES 2", "12", "12", ""]
    (tmp_path / "two.vtk").write_text("\n".join(lines), encoding="ascii")
    found = read_hexahedra(tmp_path / "two.vtk", unit="cm")
    other = read_hexahedra(write(tmp_path / "two.msh", points, cells), unit="cm")
    assert np.array_equal(found.points, other.points)
    assert np.array_equal(found.hexahedra, other.hexahedra)


def test_a_model_of_them_has_their_volume(tmp_path: Path) -> None:
    from preop.engine.tissue.fields import element_volumes
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model

    mesh = read_hexahedra(write(tmp_path / "two.msh", *two_bricks()), unit="cm", name="bar")
    model = Model.from_mesh(mesh, {"bar": NeoHookean.from_young(1e4, 0.45)}, element="H8")
    assert element_volumes(model) == pytest.approx([1e-6, 1e-6])
    assert len(model.facets_of("surface")) == 10


def test_files_without_bricks_and_damaged_ones_are_named(tmp_path: Path) -> None:
    points, cells = two_bricks()
    tetrahedron = "$Elements\n1\n1 4 2 0 1 10 11 13 14\n$EndElements\n"
    path = write(tmp_path / "tet.msh", points, cells)
    path.write_text(path.read_text().split("$Elements")[0] + tetrahedron, encoding="ascii")
    with pytest.raises(MeshError, match=r"holds no hexahedron\. Read it with read_tetrahedra"):
        read_hexahedra(path, unit="cm")
    with pytest.raises(MeshError, match=r"few\.msh: the file is damaged"):
        read_hexahedra(write(tmp_path / "few.msh", points[:-1], cells), unit="cm")


def test_folded_hexahedra_are_named(tmp_path: Path) -> None:
    """Neither right nor upside down: two nodes swapped."""
    points, cells = two_bricks()
    cells[1, [0, 1]] = cells[1, [1, 0]]
    with pytest.raises(MeshError, match=r"first is element 1 at \[15"):
        read_hexahedra(write(tmp_path / "folded.msh", points, cells), unit="cm")
    with pytest.raises(MeshError, match="hexahedra but"):
        HexMesh(points, cells[:1], np.ones(2, np.int32))
    assert len(boundary_quadrangles(cells[:1])) == 6


@pytest.mark.shared_data
def test_the_silicone_cylinder() -> None:
    """Radius 19 mm, length 178 mm: its volume is that of a cylinder whose section is a polygon."""
    folder = shared("meshes")
    mesh = read_hexahedra(folder / "silicone_cylinder_rest_hexa.msh", unit="m", name="silicone")
    assert 0.95 < mesh.volumes.sum() / (np.pi * 19.0**2 * 178.0) <= 1.0
