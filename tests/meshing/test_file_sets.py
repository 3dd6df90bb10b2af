"""Sets and regions that Gmsh and Abaqus files name. Those in `files/` are Gmsh's own: two boxes of 20 × 20 × 10 mm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from preop.imaging.errors import MeshError
from preop.meshing.hexahedra import read_hexahedra
from preop.meshing.mesh import TetMesh
from preop.meshing.readers import read_surface, read_tetrahedra

FILES = Path(__file__).parent / "files"
NAMES = ["two_regions_v2.msh", "two_regions_v4.msh", "two_regions.inp"]


def area_vector(mesh: TetMesh, name: str) -> np.ndarray:
    a, b, c = (mesh.points[mesh.facet_sets[name][:, i]] for i in range(3))
    return np.cross(b - a, c - a).sum(axis=0) / 2


@pytest.mark.parametrize("name", NAMES)
def test_groups_become_regions_and_sets(name):
    """Version 2 repeats a cell in each of its groups; "both" holds all cells: the smaller groups are the regions."""
    mesh = read_tetrahedra(FILES / name, unit="mm")
    assert set(mesh.region_names.values()) == {"liver", "tumour"}
    for label, text in mesh.region_names.items():
        chosen = mesh.region == label
        assert mesh.volumes[chosen].sum() == pytest.approx(4000.0)
        low = 0.0 if text == "liver" else 20.0
        x = mesh.points[mesh.tetrahedra[chosen], 0]
        assert x.min() == pytest.approx(low)
        assert x.max() == pytest.approx(low + 20)
    assert area_vector(mesh, "held") == pytest.approx([-200, 0, 0])  # outward, whatever the file's own turn
    assert area_vector(mesh, "pulled") == pytest.approx([200, 0, 0])
    assert np.abs(area_vector(mesh, "between")) == pytest.approx([200, 0, 0])
    assert (mesh.points[np.unique(mesh.facet_sets["between"]), 0] == 20.0).all()
    assert mesh.points[mesh.node_sets["corner"]].shape == (1, 3)
    assert len(mesh.facet_sets["surface"]) == 104


def test_facets_between_regions_look_out_of_the_smaller_one(tmp_path):
    """The first region is made the smaller one by moving its far side inward."""
    text = (FILES / "two_regions_v4.msh").read_text(encoding="ascii").split("\n")
    moved = ["10" + line[1:] if line.startswith("0 ") and len(line.split()) == 3 and inside else line
             for line, inside in zip(text, _in_nodes(text), strict=True)]  # fmt: skip
    (tmp_path / "moved.msh").write_text("\n".join(moved), encoding="ascii")
    mesh = read_tetrahedra(tmp_path / "moved.msh", unit="mm")
    liver = next(label for label, name in mesh.region_names.items() if name == "liver")
    assert mesh.volumes[mesh.region == liver].sum() < 3500
    assert area_vector(mesh, "between") == pytest.approx([200, 0, 0])
    assert np.array_equal(_sorted(mesh.facet_sets["between"]), _sorted(mesh.facet_sets["interface_liver_tumour"]))


def _sorted(facets):
    return np.unique(np.sort(facets, axis=1), axis=0)


def _in_nodes(lines):
    inside, found = False, []
    for line in lines:
        inside = (inside or line == "$Nodes") and line != "$EndNodes"
        found.append(inside)
    return found


BRICK = """$MeshFormat
2.2 0 8
$EndMeshFormat
$PhysicalNames
3
2 7 "{side}"
3 5 "brick"
1 9 "edge"
$EndPhysicalNames
$Nodes
9
1 0 0 0
2 10 0 0
3 10 10 0
4 0 10 0
5 0 0 10
6 10 0 10
7 10 10 10
8 0 10 10
9 50 50 50
$EndNodes
$Elements
{count}
1 5 2 5 1 1 2 3 4 5 6 7 8
2 1 2 9 1 1 2
3 3 2 7 1 {facet}
{more}$EndElements
"""


def brick(path: Path, *, side="floor", facet="1 2 3 4", more="") -> Path:
    text = BRICK.format(side=side, facet=facet, more=more, count=3 + more.count("\n"))
    path.write_text(text, encoding="ascii")
    return path


def test_hexahedra_keep_their_sets_whole_and_cut(tmp_path):
    path = brick(tmp_path / "a.msh")
    whole = read_hexahedra(path, unit="mm")
    assert whole.region_names == {5: "brick"}
    assert len(whole.points) == 8
    assert whole.facet_sets["floor"].tolist() == [[0, 3, 2, 1]]  # outward is down
    assert whole.node_sets["edge"].tolist() == [0, 1]
    cut = read_tetrahedra(path, unit="mm")
    assert cut.region_names == {5: "brick"}
    assert cut.facet_sets["floor"].shape == (4, 3)
    assert area_vector(cut, "floor") == pytest.approx([0, 0, -100])
    assert cut.node_sets["edge"].tolist() == [0, 1]
    assert read_surface(path, unit="mm").areas.sum() == pytest.approx(600)  # the boundary of the solids


def test_sets_that_cannot_be_placed_are_named(tmp_path):
    inner = "4 3 2 7 1 1 2 7 8\n"  # a diagonal
    with pytest.raises(MeshError, match="1 of the 2 facets of set 'floor' are no side of a solid"):
        read_hexahedra(brick(tmp_path / "a.msh", more=inner), unit="mm")
    with pytest.raises(MeshError, match="'surface' has the name of another set"):
        read_hexahedra(brick(tmp_path / "b.msh", side="surface"), unit="mm")
    apart = read_hexahedra(brick(tmp_path / "c.msh", facet="1 2 7 8"), unit="mm")
    assert set(apart.facet_sets) == {"surface"}


def test_of_quadratic_tetrahedra_the_corners_are_read(tmp_path):
    corners = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]], float)
    edges = [(0, 1), (1, 2), (0, 2), (0, 3), (2, 3), (1, 3)]
    points = [*corners, *(corners[list(edge)].mean(axis=0) for edge in edges)]
    nodes = "".join(f"{n + 1} {x} {y} {z}\n" for n, (x, y, z) in enumerate(points))
    text = f"$MeshFormat\n2.2 0 8\n$EndMeshFormat\n$Nodes\n10\n{nodes}$EndNodes\n$Elements\n1\n1 11 2 4 1 "
    path = tmp_path / "t10.msh"
    path.write_text(text + " ".join(str(n + 1) for n in range(10)) + "\n$EndElements\n", encoding="ascii")
    mesh = read_tetrahedra(path, unit="mm", name="body")
    assert mesh.points.tolist() == corners.tolist()
    assert mesh.region_names == {4: "body"}


@pytest.mark.parametrize("name", NAMES[:2])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.6, 0.9])
def test_a_file_that_ends_too_soon_is_damaged(tmp_path, name, share):
    whole = (FILES / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(MeshError, match=rf"{name}: the file is damaged"):
        read_tetrahedra(path, unit="mm")
