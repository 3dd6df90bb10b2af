"""Files: what is written comes back, units are asked for, damage is named, sets pick what they say."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from analytic_solids import centres, grid_of, sphere

from preop.imaging.errors import GeometryError, MeshError
from preop.meshing.check import check_surface, repaired, require_closed
from preop.meshing.crossings import crossing_faces
from preop.meshing.io import write_collection, write_surface, write_tetrahedra
from preop.meshing.mesh import SurfaceMesh, TetMesh
from preop.meshing.readers import cut_hexahedra, read_surface, read_tetrahedra
from preop.meshing.sets import (
    boundary_facets,
    nodes_in_slab,
    nodes_near_surface,
    nodes_within,
    surface_patch,
    with_node_sets,
    with_region_sets,
)
from preop.meshing.surface import surface_from_mask
from preop.meshing.tetwild import positive
from preop.meshing.vtk_arrays import unit_of
from shared_data import shared


@pytest.fixture(scope="module")
def ball() -> SurfaceMesh:
    grid = grid_of((1, 1, 1), (30, 30, 30))
    return surface_from_mask(sphere(10)(centres(grid)) < 0, grid, name="liver", edge_length_mm=2.0)


@pytest.fixture(scope="module")
def block() -> TetMesh:
    """A 40 × 20 × 20 mm block in two regions, split at x = 20."""
    shape = (9, 5, 5)
    points = np.stack(np.meshgrid(*[np.arange(n) * 5.0 for n in shape], indexing="ij"), axis=-1).reshape(-1, 3)
    number = np.arange(len(points)).reshape(shape)
    base = number[:-1, :-1, :-1].ravel()
    points, cells = cut_hexahedra(points, base[:, None] + np.array([0, 25, 30, 5, 1, 26, 31, 6]))
    points, cells = positive(points, cells.astype(np.int32))
    region = np.where(points[cells].mean(axis=1)[:, 0] < 20, 11, 10)
    return with_region_sets(TetMesh(points, cells, region, {10: "liver", 11: "liver_tumor"}))


@pytest.mark.parametrize("suffix", [".vtp", ".stl"])
def test_surfaces_come_back(ball, tmp_path, suffix):
    path = write_surface(tmp_path / f"a{suffix}", ball, {"depth": np.arange(len(ball.points), dtype=float)})
    back = read_surface(path, unit="mm")
    assert back.volume == pytest.approx(ball.volume, rel=1e-5)
    assert check_surface(back).closed
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no partial file stays"


def test_single_precision_is_smaller_and_moves_nothing_that_matters(ball, tmp_path):
    whole, half = (write_surface(tmp_path / f"{single}.vtp", ball, single_precision=single) for single in (False, True))
    assert half.stat().st_size < 0.75 * whole.stat().st_size
    pyvista = pytest.importorskip("pyvista")
    exact, close = pyvista.read(whole), pyvista.read(half)
    assert np.array_equal(exact.points, ball.points)
    assert np.array_equal(close.regular_faces, ball.triangles)
    assert 0 < np.abs(close.points - ball.points).max() < 1e-4
    assert check_surface(SurfaceMesh(close.points, close.regular_faces)).closed


def test_fields_of_a_vtp_come_back(ball, tmp_path):
    pyvista = pytest.importorskip("pyvista")
    at_faces = np.random.default_rng(0).random((len(ball.triangles), 3))
    data = pyvista.read(write_surface(tmp_path / "a.vtp", ball, {"traction": at_faces}))
    assert np.asarray(data.cell_data["traction"]) == pytest.approx(at_faces)


def test_glb_is_in_metres_upright_and_coloured(ball, tmp_path):
    import trimesh

    scene = trimesh.load(write_surface(tmp_path / "a.glb", ball))
    mesh = next(iter(scene.geometry.values()))
    low, high = ball.points.min(axis=0) / 1000, ball.points.max(axis=0) / 1000
    assert mesh.bounds[0] == pytest.approx([low[0], low[2], -high[1]], abs=1e-6)
    assert mesh.bounds[1] == pytest.approx([high[0], high[2], -low[1]], abs=1e-6)
    assert mesh.volume == pytest.approx(ball.volume * 1e-9, rel=1e-4)
    assert np.asarray(mesh.visual.material.baseColorFactor)[0] > np.asarray(mesh.visual.material.baseColorFactor)[2]


def test_tetrahedra_and_their_sets_come_back(block, tmp_path):
    pyvista = pytest.importorskip("pyvista")
    mesh = with_node_sets(block, {"fixed": nodes_in_slab(block, (0, 0, 0), (1, 0, 0), high_mm=0.1)})
    stress = np.random.default_rng(0).random((len(mesh.tetrahedra), 3, 3))
    path = write_tetrahedra(tmp_path / "a.vtu", mesh, {"u": mesh.points * 2}, {"stress": stress})
    back = read_tetrahedra(path, unit="mm")
    assert back.volumes.sum() == pytest.approx(16000)
    assert (back.region == mesh.region).all()
    data = pyvista.read(path)
    assert np.asarray(data.point_data["u"]) == pytest.approx(mesh.points * 2)
    assert np.asarray(data.cell_data["stress"]) == pytest.approx(stress.reshape(-1, 9))
    assert data.point_data["set_fixed"].sum() == len(mesh.node_sets["fixed"])
    with pytest.raises(MeshError, match="values for"):
        write_tetrahedra(tmp_path / "b.vtu", mesh, {"u": np.zeros(3)})
    assert not (tmp_path / "b.vtu").exists()


def test_units_come_back_as_vtk_labels_them(block, tmp_path):
    pyvista = pytest.importorskip("pyvista")
    mesh = with_node_sets(block, {"fixed": nodes_in_slab(block, (0, 0, 0), (1, 0, 0), high_mm=0.1)})
    fields = {"u": mesh.points, "bare": mesh.points}
    at_cells = {"p": np.zeros(len(mesh.tetrahedra))}
    data = pyvista.read(write_tetrahedra(tmp_path / "a.vtu", mesh, fields, at_cells, units={"u": "mm", "p": "kPa"}))
    of_points, of_cells = data.GetPointData(), data.GetCellData()
    found = {name: unit_of(of_points.GetArray(name)) for name in ("u", "bare", "set_fixed")}
    found |= {name: unit_of(of_cells.GetArray(name)) for name in ("p", "region")}
    assert found == {"u": "mm", "bare": "", "set_fixed": "1", "p": "kPa", "region": "1"}
    assert unit_of(data.GetPoints().GetData()) == "mm"


def test_regions_and_their_names_come_back(block, tmp_path):
    path = write_tetrahedra(tmp_path / "a.vtu", block)
    back = read_tetrahedra(path, unit="mm")
    assert dict(back.region_names) == dict(block.region_names)
    assert set(back.facet_sets) == set(block.facet_sets)


def test_a_mesh_without_names_of_regions_is_written(block, tmp_path):
    path = write_tetrahedra(tmp_path / "a.vtu", TetMesh(block.points, block.tetrahedra, block.region, {}))
    back = read_tetrahedra(path, unit="mm", name="part")
    assert (back.region == block.region).all()
    assert set(back.region_names.values()) == {"part_10", "part_11"}


def test_a_region_of_several_components_holds_no_ids(block, tmp_path):
    fields = {"region": np.zeros((len(block.tetrahedra), 3), dtype=np.int32)}
    path = write_tetrahedra(tmp_path / "a.vtu", block, cell_data=fields)
    assert set(read_tetrahedra(path, unit="mm", region=5).region) == {5}


def test_a_flat_tetrahedron_goes_and_takes_no_region_with_it(block, tmp_path):
    pyvista = pytest.importorskip("pyvista")
    a, b = block.tetrahedra[0, :2]
    cells = np.concatenate([block.tetrahedra[:7], [[a, b, b, b]], block.tetrahedra[7:]])
    grid = pyvista.UnstructuredGrid({pyvista.CellType.TETRA: cells}, block.points)
    grid.cell_data["region"] = np.insert(block.region, 7, 99)
    grid.save(tmp_path / "flat.vtu")
    back = read_tetrahedra(tmp_path / "flat.vtu", unit="mm", name="part")
    assert (back.region == block.region).all()
    assert set(back.region_names.values()) == {f"part_{i}" for i in np.unique(block.region)}


def test_a_collection_lists_its_steps(block, tmp_path):
    pyvista = pytest.importorskip("pyvista")
    steps = [(t, write_tetrahedra(tmp_path / f"step_{i}.vtu", block)) for i, t in enumerate((0.0, 0.5))]
    reader = pyvista.get_reader(str(write_collection(tmp_path / "all.pvd", steps)))
    assert list(reader.time_values) == [0.0, 0.5]
    assert reader.read()[0].n_cells == len(block.tetrahedra)


def test_a_folder_that_is_not_there_is_named(ball, tmp_path):
    with pytest.raises(MeshError, match="cannot be written"):
        write_surface(tmp_path / "missing" / "a.stl", ball)
    with pytest.raises(MeshError, match="not written as"):
        write_surface(tmp_path / "a.ply", ball)


def test_a_wrong_unit_raises_and_says_which_fits(ball, tmp_path):
    metres = SurfaceMesh(ball.points / 1000, ball.triangles)
    path = write_surface(tmp_path / "a.stl", metres)
    assert read_surface(path, unit="m").volume == pytest.approx(ball.volume, rel=1e-3)
    with pytest.raises(GeometryError, match=r"Another unit would fit: m"):
        read_surface(path, unit="mm")
    with pytest.raises(GeometryError, match="unknown unit"):
        read_surface(path, unit="inch")


def test_damaged_files_are_named(tmp_path, ball):
    header = b"# vtk DataFile Version 3.0\nx\nBINARY\nDATASET POLYDATA\nPOINTS 900 float\n"
    cases = {
        "text.stl": b"hello",
        "empty.obj": b"",
        "cut.vtk": header + struct.pack(">3f", 1, 2, 3),
        "odd.msh": b"$MeshFormat\n",
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MeshError, match=name):
            read_surface(tmp_path / name, unit="mm")
    whole = write_surface(tmp_path / "whole.vtp", ball).read_bytes()
    (tmp_path / "half.vtp").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MeshError, match=r"half\.vtp"):
        read_surface(tmp_path / "half.vtp", unit="mm")


def test_faults_of_a_surface_are_counted_and_repaired(ball):
    hole = SurfaceMesh(ball.points, ball.triangles[1:])
    assert check_surface(hole).open_edges == 3
    with pytest.raises(MeshError, match="3 open edges"):
        require_closed(hole)
    assert repaired(hole).volume == pytest.approx(ball.volume, rel=1e-9)
    turned = SurfaceMesh(ball.points, ball.triangles[:, ::-1])
    assert check_surface(turned).inverted == 1
    assert repaired(turned).volume == pytest.approx(ball.volume, rel=1e-9)
    mixed = ball.triangles.copy()
    mixed[:5] = mixed[:5, ::-1]
    assert check_surface(SurfaceMesh(ball.points, mixed)).inconsistent_edges > 0
    double = SurfaceMesh(ball.points, np.concatenate([ball.triangles, ball.triangles[:1]]))
    assert check_surface(double).non_manifold_edges == 3
    with pytest.raises(MeshError, match="cannot be repaired"):
        repaired(SurfaceMesh(ball.points, ball.triangles[: len(ball.triangles) // 2]))


def test_crossing_faces_are_found(ball):
    assert len(crossing_faces(ball.points, ball.triangles)) == 0
    two = np.concatenate([ball.points, ball.points + np.array([9.0, 0.3, 0.2])])
    pairs = crossing_faces(two, np.concatenate([ball.triangles, ball.triangles + len(ball.points)]))
    first = pairs < len(ball.triangles)
    assert len(pairs) > 20
    assert (first.sum(axis=1) == 1).all(), "only faces of different balls cross"


def test_crossing_faces_of_very_unlike_sizes_are_found_once():
    """A huge triangle cut by hundreds of tiny ones in a plane across it: each of those and no other pair."""
    across = np.linspace(-40.0, 40.0, 300)
    tiny = np.stack([np.array([[x, 0, -0.05], [x + 0.05, 0, -0.05], [x, 0, 0.1]]) for x in across])
    aside = tiny[:50] + np.array([0.0, 0.0, 0.2])
    huge = np.array([[[-1000.0, -900.0, 0.0], [1000.0, -900.0, 0.0], [0.0, 1800.0, 0.0]]])
    corners = np.concatenate([aside, tiny, huge]).reshape(-1, 3)
    triangles = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    pairs = crossing_faces(corners, triangles)
    assert pairs.tolist() == [[50 + i, 350] for i in range(300)]
    among = np.zeros(len(triangles), dtype=bool)
    among[[20, 60, 70]] = True
    assert crossing_faces(corners, triangles, among).tolist() == [[60, 350], [70, 350]]


def test_boundary_and_interface_sets(block):
    facets, owner = boundary_facets(block.tetrahedra)
    surface = SurfaceMesh(block.points, facets)
    assert check_surface(surface).closed
    assert surface.volume == pytest.approx(16000)
    assert len(owner) == len(facets)
    between = SurfaceMesh(block.points, block.facet_sets["interface_liver_liver_tumor"])
    assert between.areas.sum() == pytest.approx(400)
    assert np.ptp(block.points[np.unique(between.triangles), 0]) == pytest.approx(0)


def test_node_sets_pick_what_they_say(block):
    near = nodes_within(block, (0, 10, 10), 5.1)
    assert set(map(tuple, block.points[near])) >= {(0, 10, 10), (0, 5, 10), (0, 10, 15)}
    assert block.points[near, 0].max() <= 5.1
    face = nodes_in_slab(block, (40, 0, 0), (-2, 0, 0), low_mm=-0.1, high_mm=0.1)
    assert (block.points[face, 0] == 40).all()
    organ = np.array([[x, y, 22.0] for x in range(0, 41, 2) for y in range(0, 21, 2)], dtype=float)
    touching = nodes_near_surface(block, organ, 2.5)
    assert (block.points[touching, 2] == 20).all()
    with pytest.raises(MeshError, match="empty"):
        with_node_sets(block, {"ligament": np.empty(0, dtype=np.int32)})


def test_a_patch_walks_along_the_surface_and_not_through_it(block):
    patch = surface_patch(block, (20, 10, 20), 9.0)
    assert (block.points[patch, 2] == 20).all(), "the far side is 20 mm off, and the edge 10 mm"
    distance = np.linalg.norm(block.points[patch] - [20, 10, 20], axis=1)
    assert distance.max() <= 9.0 + 1e-9
    assert len(patch) > 5


@pytest.mark.shared_data
def test_meshes_that_others_made():
    folder: Path = shared("meshes")
    assert check_surface(read_surface(folder / "femur_r.stl", unit="mm")).closed
    liver = read_surface(folder / "liver.vtk", unit="mm")
    assert check_surface(liver).inverted > 0
    assert 0.8e6 < repaired(liver).volume < 2.5e6
    with pytest.raises(MeshError, match="damaged"):
        read_surface(folder / "liver_for_test_broken.vtk", unit="mm")
    with pytest.raises(GeometryError, match="cm"):
        read_surface(folder / "liver-smooth.obj", unit="m")
    rest = read_tetrahedra(folder / "silicone_cylinder_rest_hexa.msh", unit="m")
    # radius 19 mm, length 178 mm; the polygon of its section holds a little less
    assert rest.volumes.sum() == pytest.approx(np.pi * 19**2 * 178, rel=0.02)
    assert np.ptp(rest.points, axis=0).max() == pytest.approx(178, abs=0.5)
