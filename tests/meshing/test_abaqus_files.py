"""Abaqus input files: regions and sets by the ids that a file names, whatever its order; what is not read is named."""

from __future__ import annotations

import meshio
import numpy as np
import pytest

from preop.imaging.errors import MeshError
from preop.meshing.hexahedra import read_hexahedra
from preop.meshing.mesh import TetMesh
from preop.meshing.readers import read_surface, read_tetrahedra

# Volumes of tetrahedra 1, 2 and 3 by their determinants: 500/3, 1000/3 and 500/3 mm³.
NODES = "*NODE\n1,0,0,0\n2,10,0,0\n3,0,10,0\n4,0,0,10\n5,10,10,10\n6,20,0,0\n"
ONE, TWO, THREE = "1,1,2,3,4\n", "2,2,3,4,5\n", "3,2,6,5,4\n"
SIXTH = 1000 / 6
PART = """*Heading
** Job name: Job-1 Model name: Model-1
*Part, name=Liver
*Node
      1,           0.,           0.,           0.
      2,          10.,           0.,           0.
      3,           0.,          10.,           0.
      4,           0.,           0.,          10.
      5,          10.,          10.,          10.
*Element, type=C3D4H
1, 1, 2, 3, 4
2, 2, 3, 4, 5
*Nset, nset=Set-1, generate
 1,  5,  1
*Elset, elset=Set-1, generate
 1,  2,  1
*Elset, elset=tumour
 2,
*Solid Section, elset=Set-1, material=soft
,
*End Part
*Assembly, name=Assembly
*Instance, name=Liver-1, part=Liver
{placed}*End Instance
*Node
      1,           5.,           5.,          50.
*Nset, nset=reference
 1,
*Nset, nset=held, instance=Liver-1
 1, 2, 3
*Elset, elset=held, instance=Liver-1
 1,
*Elset, elset=_top_S3, internal, instance=Liver-1
 1,
*Surface, type=ELEMENT, name=top
_top_S3, S3
*End Assembly
*Material, name=soft
*Elastic
1000., 0.4
*Step, name=Step-1
*End Step
"""


def read(folder, text) -> TetMesh:
    (folder / "a.inp").write_text(text, encoding="utf-8")
    return read_tetrahedra(folder / "a.inp", unit="mm")


def volumes(mesh: TetMesh) -> dict[str, float]:
    return {name: mesh.volumes[mesh.region == label].sum() / SIXTH for label, name in mesh.region_names.items()}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("*ELEMENT,TYPE=C3D4\n" + ONE + "*ELEMENT,TYPE=C3D4,ELSET=b\n" + TWO, {"solid": 1, "b": 2}),
        ("*ELEMENT,TYPE=S3\n9,1,2,3\n*ELEMENT,TYPE=C3D4,ELSET=a\n" + ONE + TWO, {"a": 3}),
        ("*ELEMENT,TYPE=C3D4,ELSET=a\n" + ONE + "*ELEMENT,TYPE=C3D4,ELSET=A\n" + THREE, {"a": 2}),
        ("*ELEMENT,TYPE=C3D4\n" + ONE + "*ELSET,ELSET=a\n1\n*ELEMENT,TYPE=C3D4\n" + TWO, {"a": 1, "solid": 2}),
        ("*ELSET,ELSET=a\n2\n*ELEMENT,TYPE=C3D4\n" + ONE + TWO, {"solid": 1, "a": 2}),
        ("*ELEMENT,TYPE=C3D4,ELSET=a\n" + ONE + "*ELEMENT,TYPE=C3D4,ELSET=b\n" + TWO + "*ELEMENT,TYPE=C3D4\n" + THREE
         + "*ELSET,ELSET=a+b\na, b\n*ELSET,ELSET=none\n", {"a": 1, "b": 2, "solid": 1}),
        ("*ELEMENT,TYPE=C3D4\n" + ONE + TWO + THREE + "*ELSET,ELSET=ends,GENERATE\n1,3,2\n", {"ends": 2, "solid": 2}),
        ("** note\n*element, type=c3d4h,\n elset=a\n1, 1, 2,\n3, 4\n\n" + TWO, {"a": 3}),
    ],
)  # fmt: skip
def test_sets_are_of_the_elements_they_name(tmp_path, cells, expected):
    assert volumes(read(tmp_path, NODES + cells)) == pytest.approx(expected)


def test_nodes_of_several_blocks_count_and_name_sets(tmp_path):
    text = "*NODE,NSET=low\n1,0,0,0\n2,10,0,0\n3,0,10,0\n*NODE\n4,0,0,1.D+1\n*NSET,NSET=some\nlow\n4\n"
    mesh = read(tmp_path, text + "*ELEMENT,TYPE=C3D4\n" + ONE)
    assert mesh.volumes.sum() == pytest.approx(SIXTH)
    assert {name: len(nodes) for name, nodes in mesh.node_sets.items()} == {"low": 3, "some": 4}


@pytest.mark.parametrize(("placed", "offset"), [("", 0), ("         100.,           0.,           0.\n", 100)])
def test_a_part_and_its_instance_as_cae_writes_them(tmp_path, placed, offset):
    """The set of a face holds its nodes and the solids at it: it is no region. Nor is a set marked internal."""
    mesh = read(tmp_path, PART.format(placed=placed))
    assert volumes(mesh) == pytest.approx({"Set-1": 1, "tumour": 2})
    assert mesh.points[:, 0].min() == offset
    assert {name: mesh.points[nodes].tolist() for name, nodes in mesh.node_sets.items()} == {
        "held": [[offset, 0, 0], [offset + 10, 0, 0], [offset, 10, 0]]
    }


TETRAHEDRON = "*ELEMENT,TYPE=C3D4\n" + ONE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (NODES + TETRAHEDRON + "*ELEMENT,TYPE=C3D6\n2,2,3,4,5,6,1\n", "not read: 1 of type C3D6"),
        (NODES + TETRAHEDRON + "*ELEMENT\n2,2,3,4,5\n", "line 10: \\*ELEMENT has no TYPE"),
        (NODES + TETRAHEDRON + "*NSET,NSET=b\n1,b\n", "line 11: set 'b' is a set of itself"),
        (PART.format(placed="1.,x,2.\n"), "the place of an instance is no number"),
        (NODES + "4,0,0,30\n" + TETRAHEDRON, "line 8: there are two nodes 4"),
        (NODES + TETRAHEDRON + "1,2,3,4,5\n", "line 10: there are two elements 1"),
        (NODES + TETRAHEDRON + "2,2,3,4\n", "line 10: element 2 of type C3D4 has 3 nodes in place of 4"),
        (NODES + TETRAHEDRON + "2,2,3,4,\n", "element 2 of type C3D4 ends before its last node"),
        (NODES + TETRAHEDRON + "2,2,3,4,7\n", "element 2 names node 7, which is not there"),
        (NODES + TETRAHEDRON + "2,2,3,4,5", "ends within its last line"),
        (NODES + TETRAHEDRON + "*ELSET,ELSET=a\n1,2\n", "set 'a' names element 2, which is not there"),
        (NODES + TETRAHEDRON + "*ELSET,ELSET=a\nb\n", "set 'a' names set B, which is not there"),
        (NODES + TETRAHEDRON + "*ELSET,ELSET=a\na\n", "set 'a' is a set of itself"),
        (NODES + TETRAHEDRON + "*NSET,NSET=a,GENERATE\n1,4,2\n", "line 11: 1, 4, 2 generates no ids"),
        (NODES + "7,0,0\n" + TETRAHEDRON, "node 7 has 2 of 3 coordinates"),
        (NODES + TETRAHEDRON + "*INCLUDE,INPUT=b.inp\n", "INCLUDE is not read"),
        (NODES.replace("NODE", "NODE,SYSTEM=C") + TETRAHEDRON, "NODE, SYSTEM is not read"),
        (PART.format(placed="0,0,0\n0,0,0,0,0,1,90\n"), "instance 'Liver-1' is rotated, which is not read"),
        (PART.partition("*End Assembly")[0].format(placed=""), r"\*ASSEMBLY of line 22 has no \*END ASSEMBLY"),
        ("*PART,NAME=a\n" + NODES + TETRAHEDRON + "*END PART\n*PART,NAME=b\n" + NODES + TETRAHEDRON + "*END PART\n",
         r"2 parts with elements \(a, b\)"),
        ("1 2 3\n", "no Abaqus input file"),
    ],
)  # fmt: skip
def test_what_is_damaged_or_not_read_is_named(tmp_path, text, message):
    with pytest.raises(MeshError, match=message):
        read(tmp_path, text)


def test_quadratic_cells_of_another_writer_come_back(tmp_path):
    """Of meshio's own file: corners, a set of cells and one of nodes; a cube of 10 mm in one hexahedron."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], float)
    edges = [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7)]
    points = 10 * np.concatenate([corners, [corners[list(edge)].mean(axis=0) for edge in edges]])
    cells = {"hexahedron20": np.arange(20)[None]}
    made = meshio.Mesh(points, cells, cell_sets={"cube": [np.array([0])]}, point_sets={"base": [0, 1, 2, 3, 8]})
    made.write(tmp_path / "a.inp")
    mesh = read_hexahedra(tmp_path / "a.inp", unit="mm")
    assert mesh.volumes.sum() == pytest.approx(1000)
    assert list(mesh.region_names.values()) == ["cube"]
    assert mesh.node_sets["base"].tolist() == [0, 1, 2, 3]
    assert read_surface(tmp_path / "a.inp", unit="mm").areas.sum() == pytest.approx(600)


@pytest.mark.parametrize(("facet", "up"), [("2,3,4", 1), ("2,4,3", -1)])
def test_facets_inside_one_region_look_as_the_file_turns_them(tmp_path, facet, up):
    """Triangle 2, 3, 4 by its nodes' order looks along (1, 1, 1)."""
    mesh = read(tmp_path, NODES + TETRAHEDRON + TWO + "*ELEMENT,TYPE=S3,ELSET=cut\n9," + facet + "\n")
    a, b, c = mesh.points[mesh.facet_sets["cut"][0]]
    assert np.cross(b - a, c - a) == pytest.approx(np.full(3, up * 100.0))
