"""The parts of registration that have closed answers: rigid alignment, noise of a cloud, bad points."""

from __future__ import annotations

import bodies
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.registration.register import register, roughness
from preop.engine.tissue.registration.rigid import align_from_many
from preop.imaging.errors import SolverError
from preop.meshing.mesh import TetMesh


def slab(cells: tuple[int, int, int]) -> TetMesh:
    """A rounded slab, 160 × 100 × 40 mm, thicker at one end, with its whole surface in one set."""

    def place(unit: np.ndarray) -> np.ndarray:
        x, y, z = 2 * unit.T - 1
        thick = 20.0 * (1.2 - 0.3 * x) * np.sqrt(1 - 0.25 * (x**2 + y**2))
        return np.stack([80 * x * np.sqrt(1 - 0.2 * y**2), 50 * y * np.sqrt(1 - 0.2 * x**2), z * thick], axis=1)

    mesh = bodies.box(cells, place=place)
    surface = np.concatenate(list(mesh.facet_sets.values()))
    sets = {**mesh.facet_sets, "surface": surface}
    return TetMesh(mesh.points, mesh.tetrahedra, mesh.region, mesh.region_names, sets, mesh.node_sets)


def test_a_rigid_motion_is_found_by_alignment_alone() -> None:
    mesh = slab((8, 5, 3))
    points, facets = mesh.points * 1e-3, mesh.facet_sets["surface"]
    seen = points[np.unique(facets)][::2]
    turn, shift = Rotation.from_rotvec([0.1, -0.15, 0.12]), np.array([0.01, 0.012, -0.006])
    found = align_from_many(turn.apply(seen) + shift, points, facets)
    assert np.abs(found.seen_from_model(points) - (turn.apply(points) + shift)).max() < 2e-4


def test_noise_is_read_off_the_cloud() -> None:
    """Points of a sphere of 100 mm with 1.5 mm noise: the sphere's own bend is not taken for noise."""
    draw = np.random.default_rng(4)
    way = draw.standard_normal((4000, 3))
    way = way[way[:, 2] > 1.2 * np.abs(way[:, 0])][:600]
    way /= np.linalg.norm(way, axis=1)[:, None]
    assert roughness(0.1 * way + 1.5e-3 * draw.standard_normal(way.shape)) == pytest.approx(1.5e-3, rel=0.15)


def test_bad_points_are_named() -> None:
    model = Model.from_mesh(slab((4, 3, 2)), {"*": NeoHookean.from_young(5e3, 0.45)})
    points = np.asarray(model.points)
    with pytest.raises(SolverError, match="too few"):
        register(model, points[:5])
    with pytest.raises(SolverError, match="metres, not millimetres"):
        register(model, 1e3 * points)
    broken = points.copy()
    broken[3] = np.nan
    with pytest.raises(SolverError, match="the first is number 3"):
        register(model, broken)
