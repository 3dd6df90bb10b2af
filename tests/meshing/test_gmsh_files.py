"""Gmsh files: groups by dimension and number, tags that must be there, kinds that are not read."""

from __future__ import annotations

from pathlib import Path

import meshio
import numpy as np
import pytest

from preop.imaging.errors import MeshError
from preop.meshing.hexahedra import read_hexahedra
from preop.meshing.mesh import TetMesh
from preop.meshing.readers import read_surface, read_tetrahedra

FILES = Path(__file__).parent / "files"
CORNERS = "1 0 0 0\n2 10 0 0\n3 0 10 0\n4 0 0 10\n5 10 10 10\n"  # 1, 2, 3, 4: 500/3 mm³; 2, 3, 4, 5: 1000/3 mm³
SIXTH = 1000 / 6
WHOLE = "1 4 2 5 1 1 2 3 4\n"


def read(folder: Path, cells: str, names: str = "", nodes: str = CORNERS) -> TetMesh:
    named = f"$PhysicalNames\n{names.count(chr(10))}\n{names}$EndPhysicalNames\n" if names else ""
    path = folder / "a.msh"
    path.write_text(
        f"$MeshFormat\n2.2 0 8\n$EndMeshFormat\n{named}$Nodes\n{len(nodes.splitlines())}\n{nodes}$EndNodes\n"
        f"$Elements\n{len(cells.splitlines())}\n{cells}$EndElements\n",
        encoding="utf-8",
    )
    return read_tetrahedra(path, unit="mm")


def volumes(mesh: TetMesh) -> dict[str, float]:
    return {name: mesh.volumes[mesh.region == label].sum() / SIXTH for label, name in mesh.region_names.items()}


def test_groups_of_one_name_or_one_number_stay_apart(tmp_path):
    """A name of a volume and of a surface; number 7 without a name of a surface, a curve and a point."""
    cells = WHOLE + "2 2 2 6 1 1 2 3\n3 2 2 7 1 1 2 4\n4 1 2 7 1 1 2\n5 15 2 7 1 3\n"
    mesh = read(tmp_path, cells, '2 6 "wall"\n3 5 "wall"\n')
    assert volumes(mesh) == pytest.approx({"wall": 1})
    assert mesh.facet_sets["wall"].tolist() == [[0, 2, 1]]
    assert mesh.facet_sets["physical_surface_7"].tolist() == [[0, 1, 3]]
    assert {name: nodes.tolist() for name, nodes in mesh.node_sets.items()} == {
        "physical_curve_7": [0, 1], "physical_point_7": [2],
    }  # fmt: skip


def test_what_is_in_no_group_is_one_region_with_or_without_names(tmp_path):
    cells = WHOLE + "2 4 2 0 1 2 3 4 5\n"
    assert volumes(read(tmp_path, cells)) == pytest.approx({"solid_5": 1, "solid_1": 2})
    assert volumes(read(tmp_path, "1 4 0 2 3 4 5\n2 4 2 5 1 1 2 3 4\n")) == pytest.approx({"solid_1": 2, "solid_5": 1})
    assert volumes(read(tmp_path, cells, '3 5 "liver"\n')) == pytest.approx({"liver": 1, "solid": 2})


def test_a_volume_of_version_4_in_no_group(tmp_path):
    """The last volume of Gmsh's own file loses its groups, tumour and both."""
    lines = (FILES / "two_regions_v4.msh").read_text(encoding="ascii").split("\n")
    last = lines.index("$EndEntities") - 1
    words = lines[last].split()
    lines[last] = " ".join([*words[:7], "0", *words[8 + int(words[7]) :]])
    path = tmp_path / "a.msh"
    path.write_text("\n".join(lines), encoding="ascii")
    assert volumes(read_tetrahedra(path, unit="mm")) == pytest.approx({"liver": 24, "solid": 24})


@pytest.mark.parametrize(
    ("cells", "nodes", "message"),
    [
        ("1 4 2 5 1 0 2 3 4\n", CORNERS, "element 1 names node 0, which is not there"),
        ("1 4 2 5 1 1 2 3 9\n", CORNERS, "element 1 names node 9, which is not there"),
        ("1 4 2 5 1 1 2 3\n", CORNERS, "an element has not as many nodes as its type"),
        (WHOLE, CORNERS + "4 0 0 30\n", "there are two nodes 4"),
        (WHOLE, CORNERS.replace("5 10", "0 10"), "there is a node 0, and Gmsh counts from 1"),
        (WHOLE + "2 7 2 6 1 1 2 3 4 5\n3 7 2 6 1 2 1 3 4 5\n", CORNERS, "not read: 2 of type pyramid"),
    ],
)
def test_what_is_damaged_or_not_read_is_named(tmp_path, cells, nodes, message):
    with pytest.raises(MeshError, match=message):
        read(tmp_path, cells, nodes=nodes)


def test_tetrahedra_beside_hexahedra_are_not_left_out_in_silence(tmp_path):
    nodes = "1 0 0 0\n2 9 0 0\n3 9 9 0\n4 0 9 0\n5 0 0 9\n6 9 0 9\n7 9 9 9\n8 0 9 9\n9 0 0 18\n"
    read(tmp_path, "1 5 2 5 1 1 2 3 4 5 6 7 8\n2 4 2 5 1 5 6 8 9\n", nodes=nodes)
    with pytest.raises(MeshError, match="holds 1 tetrahedra beside its hexahedra"):
        read_hexahedra(tmp_path / "a.msh", unit="mm")


def test_a_file_cut_within_its_last_number_is_damaged(tmp_path):
    text = (FILES / "two_regions_v2.msh").read_text(encoding="ascii")
    (tmp_path / "a.msh").write_text(text.partition("\n$EndElements")[0][:-1], encoding="ascii")
    with pytest.raises(MeshError, match=r"\$Elements has no \$EndElements"):
        read_tetrahedra(tmp_path / "a.msh", unit="mm")


def test_nodes_with_parameters_are_not_read(tmp_path):
    text = (FILES / "two_regions_v4.msh").read_text(encoding="ascii")
    (tmp_path / "a.msh").write_text(text.replace("\n0 1 0 1\n", "\n0 1 1 1\n", 1), encoding="ascii")
    with pytest.raises(MeshError, match="nodes with parameters are not read"):
        read_tetrahedra(tmp_path / "a.msh", unit="mm")


def test_facets_that_are_no_side_are_counted_as_the_file_has_them(tmp_path):
    """Of a brick, cut into tetrahedra: one side and one diagonal."""
    nodes = "1 0 0 0\n2 9 0 0\n3 9 9 0\n4 0 9 0\n5 0 0 9\n6 9 0 9\n7 9 9 9\n8 0 9 9\n"
    brick = "1 5 2 5 1 1 2 3 4 5 6 7 8\n2 3 2 6 1 1 2 7 8\n"
    assert set(read(tmp_path, brick, nodes=nodes).facet_sets) == {"surface"}
    with pytest.raises(MeshError, match="1 of the 2 facets"):
        read(tmp_path, brick + "3 3 2 6 1 1 2 3 4\n", nodes=nodes)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("file_format", ["gmsh22", "gmsh"])
def test_files_of_another_writer_come_back(tmp_path, binary, file_format):
    points = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10], [10, 10, 10]], float)
    cells = [("tetra", [[0, 1, 2, 3], [1, 2, 3, 4]]), ("triangle", [[0, 1, 2]])]
    tags = [np.array([2, 2]), np.array([3])]
    data = {"gmsh:physical": tags, "gmsh:geometrical": tags}
    made = meshio.Mesh(points, cells, cell_data=data, field_data={"organ": np.array([2, 3])})
    made.point_data["gmsh:dim_tags"] = np.array([[2, 3]] * 3 + [[3, 2]] * 2)
    path = tmp_path / "a.msh"
    made.write(path, file_format=file_format, binary=binary)
    mesh = read_tetrahedra(path, unit="mm")
    assert volumes(mesh) == pytest.approx({"organ": 3})
    assert mesh.facet_sets["physical_surface_3"].tolist() == [[0, 2, 1]]
    assert read_surface(path, unit="mm").volume == pytest.approx(500)
