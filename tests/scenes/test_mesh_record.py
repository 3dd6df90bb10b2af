"""What result.json tells of a mesh: volumes by region, and the pieces that got no tetrahedra."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.volume import Grid, LabelMap
from preop.meshing.body_centred import body_centred_lattice
from preop.meshing.mesh import SurfaceMesh, TetMesh
from preop.scenes import mesh_record


@pytest.fixture
def session(monkeypatch):
    """A cube of liver of 20 mm; of its tumours of 64, 8 and 1 mL (made of voxels of 1 mL) the mesh shows the first."""
    side = 10.0
    labels = np.full((12, 12, 12), SEGMENTS["liver"].label, dtype=np.uint16)
    for low, high in ((1, 5), (7, 9), (10, 11)):
        labels[low:high, low:high, low:high] = SEGMENTS["liver_tumor"].label
    grid = Grid((12, 12, 12), np.diag([side, side, side, 1.0]))
    points, cells = body_centred_lattice(np.full(3, -5.0), np.full(3, 115.0), 20.0)
    centre = points[cells].mean(axis=1)
    first = ((centre > 5) & (centre < 45)).all(axis=1)
    region = np.where(first, SEGMENTS["liver_tumor"].label, SEGMENTS["liver"].label)
    names = {SEGMENTS[n].label: n for n in ("liver", "liver_tumor")}
    options = SimpleNamespace(regions={n: SimpleNamespace(labels=(n,)) for n in names.values()})
    monkeypatch.setattr(mesh_record, "procedure", lambda name: SimpleNamespace(parse=lambda scene: options))
    mesh = TetMesh(points, cells, region, names)
    return SimpleNamespace(
        scene=SimpleNamespace(name="cube", procedure=""), labels=LabelMap(labels, grid, BY_LABEL),
        outcome=SimpleNamespace(mesh=mesh, deforming=("liver", "spleen")), surfaces={}, embeddings={},
    )  # fmt: skip


def test_pieces_without_tetrahedra_are_told_by_volume(session):
    told = {one["name"]: one for one in mesh_record.region_volumes(session)}
    tumour = told["liver_tumor"]
    assert tumour["label_volume_ml"] == pytest.approx(64 + 8 + 1)
    assert (tumour["lost_pieces"], tumour["lost_pieces_ml"], tumour["lost_ml"]) == (2, [8.0, 1.0], 9.0)
    assert "pieces of 8 and 1 mL got no tetrahedra" in tumour["remark"]
    assert told["liver"]["lost_pieces"] == 0
    assert "got no" not in told["liver"]["remark"]


def test_many_specks_are_summed(session):
    assert "pieces of 9, 8, 7, 6, 5 mL and 4 smaller ones (10 mL together)" in mesh_record._lost(
        [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    )
    assert mesh_record._lost([0.114]).startswith("piece of 0.11 mL got")


def test_a_sound_mesh_crosses_nothing_and_one_that_overlaps_itself_is_counted(session):
    assert mesh_record.mesh_record(session)["surface_crossings"] == 0
    mesh = session.outcome.mesh
    other = mesh.points + np.array([47.0, 3.0, 5.0])
    session.outcome.mesh = TetMesh(
        np.concatenate([mesh.points, other]), np.concatenate([mesh.tetrahedra, mesh.tetrahedra + len(mesh.points)]),
        np.tile(mesh.region, 2), mesh.region_names,
    )  # fmt: skip
    assert mesh_record.mesh_record(session)["surface_crossings"] > 10


def test_a_surface_that_reaches_far_beyond_the_tetrahedra_is_told_of(session):
    """The mesh ends at 115 mm. A spike of 3 mm is within half an edge of about 20 mm, one of 17 mm is not."""

    def remark(spike):
        ground = np.array([[100.0, 20, 20], [100, 40, 20], [100, 20, 40], [115 + spike, 25, 25]])
        triangles = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
        session.surfaces, session.embeddings = {"liver": SurfaceMesh(ground, triangles, None, "liver")}, {}
        record = mesh_record.mesh_record(session)
        (carried,) = record["carried"]
        assert (carried["name"], carried["vertices"], carried["outside"]) == ("liver", 4, 1)
        assert carried["farthest_mm"] == pytest.approx(spike)
        told = next(one["remark"] for one in record["regions"] if one["name"] == "liver")
        assert carried["remark"] in told
        assert (carried["far"] > 0) == bool(carried["remark"])
        return carried["remark"]

    assert remark(3.0) == ""
    assert "reaches up to 17.0 mm beyond the tetrahedra (25 % of its points are far)" in remark(17.0)
