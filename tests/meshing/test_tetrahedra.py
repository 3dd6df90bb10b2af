"""Tetrahedra of several regions: conforming, positive, of the asked number, and true to the labels."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from analytic_solids import centres, grid_of, liver_like, sphere

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.errors import MeshError, SegmentationError
from preop.imaging.volume import LabelMap
from preop.meshing._repeatable import seed_entropy
from preop.meshing.check import check_surface
from preop.meshing.classify import facet_neighbours
from preop.meshing.fidelity import fidelity
from preop.meshing.mesh import SurfaceMesh, TetMesh
from preop.meshing.pieces import facet_connected
from preop.meshing.quality import quality
from preop.meshing.regions import region_map
from preop.meshing.sets import all_facets
from preop.meshing.tetrahedra import tetrahedralize
from preop.meshing.tetwild import fill

REGIONS = ("liver_vessels", "liver", "liver_tumor")


@pytest.fixture(scope="module")
def labels() -> LabelMap:
    return liver_like()


@pytest.fixture(scope="module")
def mesh(labels) -> TetMesh:
    return tetrahedralize(labels, REGIONS, edge_length_mm=5.0, threads=1)


def test_regions_keep_their_volumes(mesh, labels):
    """The vessel is 8 mm across: elements of 5 mm hold it."""
    found = {f.name: f for f in fidelity(mesh, labels, REGIONS)}
    assert set(found) == set(REGIONS)
    for one in found.values():
        assert abs(one.relative_error) < 0.005, one
        assert one.lost == ()
    assert mesh.volumes.sum() == pytest.approx((labels.labels > 0).sum() * 8.0, rel=0.002)


@pytest.fixture(scope="module")
def tumours() -> tuple[LabelMap, list[int]]:
    """A ball of liver with a large tumour, small ones, one of them at its border, and a speck; voxels of each."""
    grid = grid_of((1.0, 1.0, 1.5), (112, 112, 112))
    p = centres(grid)
    inside = sphere(52)(p) < 0
    body = np.where(inside, SEGMENTS["liver"].label, 0).astype(np.uint16)
    number = []
    for radius, at in ((12, (25, 0, 0)), (4.2, (-25, 0, 0)), (3.5, (0, -28, 8)), (3.0, (0, 0, 30)), (4.2, (0, 51, 0)),
                       (1.2, (-10, 20, -15))):  # fmt: skip
        tumour = inside & (sphere(radius, at)(p) < 0)
        body[tumour] = SEGMENTS["liver_tumor"].label
        number.append(int(tumour.sum()))
    return LabelMap(body, grid, BY_LABEL), number


def test_small_tumours_keep_their_own_volumes_among_large_elements(tumours):
    """Lesions of 6 to 8 mm among elements of 9 mm; the speck of 2.4 mm is lost, and named."""
    labels, voxels = tumours
    regions = ("liver", "liver_tumor")
    made = tetrahedralize(labels, regions, edge_length_mm=9.0, threads=1)
    inside = made.region == SEGMENTS["liver_tumor"].label
    piece = facet_connected(made.region, facet_neighbours(made.tetrahedra))[inside]
    volumes = np.unique(np.bincount(piece, made.volumes[inside]))
    expected = np.sort(voxels[:-1]) * labels.grid.voxel_volume
    np.testing.assert_allclose(volumes[volumes > 0], expected, rtol=0.02)
    assert np.bincount(piece)[np.unique(piece)].min() >= 20
    assert quality(made).summary()["dihedral_min_deg"] > 5
    liver, tumour = fidelity(made, labels, regions)
    assert (tumour.pieces, liver.pieces) == (6, 1)
    assert liver.lost == ()
    (speck,) = tumour.lost
    assert speck.volume_mm3 == pytest.approx(voxels[-1] * 1.5)
    # within a voxel of where the speck was put: the body lies about (10, -20, 30)
    np.testing.assert_allclose(speck.centre_mm, (0, 0, 15), atol=1.5)


@pytest.mark.parametrize(("inner", "outer"), [("liver_vessels", "liver_tumor"), ("liver_tumor", "liver_vessels")])
def test_a_small_piece_inside_another_small_one_keeps_its_volume(inner, outer):
    """7 mm inside 13 mm, among elements of 12 mm."""
    grid = grid_of((1.0, 1.0, 1.0), (70, 70, 70))
    body = np.zeros(grid.shape, dtype=np.uint16)
    for name, radius in (("liver", 32.0), (outer, 6.3), (inner, 3.4)):
        body[sphere(radius)(centres(grid)) < 0] = SEGMENTS[name].label
    labels = LabelMap(body, grid, BY_LABEL)
    found = fidelity(tetrahedralize(labels, REGIONS, edge_length_mm=12.0, threads=1), labels, REGIONS)
    assert max(abs(one.relative_error) for one in found) < 0.05


@pytest.mark.parametrize(
    ("at", "radius", "epsilon", "told"),
    [
        ((3.3, 2.1, -1.2), 1.1, None, "an edge length of 12 mm is too coarse for liver_tumor"),
        ((0, 0, 0), 1.6, 6.0, "a mesh free to stray by 6 mm shows nothing of liver_tumor"),
    ],
)
def test_a_region_that_no_element_can_show_is_named(at, radius, epsilon, told):
    """A speck between the lattice's points, and one that lies whole within what the interfaces may stray by."""
    grid = grid_of((1.0, 1.0, 1.0), (70, 70, 70))
    body = np.zeros(grid.shape, dtype=np.uint16)
    for name, size, middle in (("liver", 30.0, (0, 0, 0)), ("liver_tumor", radius, at)):
        body[sphere(size, middle)(centres(grid)) < 0] = SEGMENTS[name].label
    with pytest.raises(MeshError, match=told):
        tetrahedralize(
            LabelMap(body, grid, BY_LABEL), ("liver", "liver_tumor"), edge_length_mm=12.0, epsilon_mm=epsilon, threads=1
        )


def test_every_facet_joins_two_elements_or_is_boundary(mesh):
    """Conforming: a facet has one or two owners, and the boundary is one closed manifold."""
    facets, _, _ = all_facets(mesh.tetrahedra)
    _, uses = np.unique(np.sort(facets, axis=1), axis=0, return_counts=True)
    assert set(uses) <= {1, 2}
    report = check_surface(SurfaceMesh(mesh.points, mesh.facet_sets["surface"]))
    assert report.closed, report.faults
    assert report.volume_mm3 == pytest.approx(mesh.volumes.sum(), rel=1e-9)


def test_interfaces_close_each_inner_region(mesh):
    """The interface with the liver and the own part of the surface together close the tumour, outward."""
    parts = [v for k, v in mesh.facet_sets.items() if k.startswith(("interface_liver_tumor", "surface_liver_tumor"))]
    tumour = SurfaceMesh(mesh.points, np.concatenate(parts))
    inside = mesh.region == SEGMENTS["liver_tumor"].label
    assert tumour.volume == pytest.approx(mesh.volumes[inside].sum(), rel=1e-9)
    assert "surface_liver_tumor" in mesh.facet_sets, "the tumour reaches the liver's border"
    assert "surface_liver_vessels" not in mesh.facet_sets


def test_elements_are_fit_for_a_solver(mesh):
    summary = quality(mesh).summary()
    assert summary["dihedral_min_deg"] > 5
    assert summary["radius_ratio_mean"] > 0.7
    assert summary["edge_mean_mm"] == pytest.approx(5.0, rel=0.25)


@pytest.mark.slow
def test_the_asked_number_is_met(labels):
    made = tetrahedralize(labels, ("liver",), target_tetrahedra=6000, threads=1)
    assert len(made.tetrahedra) == pytest.approx(6000, rel=0.2)
    assert set(np.unique(made.region)) == {SEGMENTS["liver"].label}


def test_a_left_handed_anisotropic_scan_gives_positive_volumes():
    grid = grid_of((1.0, 1.0, 3.0), (40, 40, 42), np.diag([1.0, -1.0, 1.0]))
    body = (sphere(16)(centres(grid)) < 0).astype(np.uint16) * SEGMENTS["spleen"].label
    made = tetrahedralize(LabelMap(body, grid, BY_LABEL), {"organ": ("spleen",)}, edge_length_mm=6.0, threads=1)
    assert made.volumes.min() > 0
    assert made.volumes.sum() == pytest.approx((body > 0).sum() * grid.voxel_volume, rel=0.03)
    assert list(made.region_names.values()) == ["organ"]


def test_a_part_is_taken_out_of_its_whole_whatever_the_order(labels):
    mapped, names = region_map(labels, {"all": ("liver",), "veins": ("liver_vessels",)})
    by_name = {name: i for i, name in names.items()}
    voxels = labels.only("portal_vein_intrahepatic")
    assert (mapped[voxels] == by_name["veins"]).all()
    assert (mapped[labels.only("liver_tumor")] == by_name["all"]).all()


def test_impossible_wishes_are_named(labels):
    with pytest.raises(MeshError, match="either"):
        tetrahedralize(labels, ("liver",))
    with pytest.raises(MeshError, match="either"):
        tetrahedralize(labels, ("liver",), target_tetrahedra=100, edge_length_mm=3)
    with pytest.raises(SegmentationError, match="spleen"):
        tetrahedralize(labels, ("spleen",), edge_length_mm=3)
    with pytest.raises(MeshError, match="too few"):
        tetrahedralize(labels, ("liver",), target_tetrahedra=3)


def test_the_child_process_is_stopped_in_time_and_says_why(labels, capfd):
    said = []
    with pytest.raises(MeshError, match="did not finish"):
        tetrahedralize(labels, ("liver",), edge_length_mm=1.0, timeout=1.5, progress=lambda f, m: said.append((f, m)))
    assert any("elapsed" in message for _, message in said)
    assert capfd.readouterr().out == ""


def test_an_interrupt_ends_the_child(labels):
    children: list[int] = []

    def interrupt(fraction, message):
        if "elapsed" in message:
            children.extend(_children())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tetrahedralize(labels, ("liver",), edge_length_mm=1.0, progress=interrupt)
    assert not set(children) & set(_children())


def _children() -> list[int]:
    from pathlib import Path

    path = Path("/proc/self/task")
    if not path.exists():
        pytest.skip("the list of child processes is read from /proc")
    return [int(pid) for task in path.iterdir() for pid in (task / "children").read_text(encoding="utf-8").split()]


def test_failure_of_the_mesher_is_one_line():
    flat = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=float)
    with pytest.raises(MeshError) as caught:
        fill(flat, np.array([[0, 1, 2]], dtype=np.int32), edge_length_mm=0.3, epsilon_mm=0.01)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="fTetWild's entropy is led to a seed on Linux")
def test_the_same_seed_gives_the_same_mesh(labels):
    def once(seed: int, threads: int) -> TetMesh:
        # the tumour, 20 mm across, is small against 14 mm: it has a surface and a sizing field of its own
        return tetrahedralize(labels, ["liver", "liver_tumor"], edge_length_mm=14.0, seed=seed, threads=threads)

    first, again, other = once(3, 1), once(3, 2), once(4, 1)
    assert np.array_equal(first.points, again.points)
    assert np.array_equal(first.tetrahedra, again.tetrahedra)
    assert first.points.shape != other.points.shape or not np.array_equal(first.points, other.points)


def test_only_the_named_pointer_is_looked_for(tmp_path):
    """A file that is no ELF, or draws nothing, is left alone."""
    text = tmp_path / "no.so"
    text.write_bytes(b"not an extension")
    assert not seed_entropy(str(text), 1)
    assert not seed_entropy(str(tmp_path / "absent.so"), 1)
    assert not seed_entropy(sys.executable, 1)
