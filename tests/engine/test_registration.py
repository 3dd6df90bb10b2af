"""A model laid on points of a deformed surface: against truths of another mesh, element, stiffness and loads."""

from __future__ import annotations

import bodies
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.registration.register import Prior, register, roughness
from preop.engine.tissue.registration.rigid import align_from_many
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
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


@pytest.fixture(scope="module")
def bent() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the upper side with 1 mm noise and some outliers, targets at rest, and where they are.

    Held at its thick end and hanging: 20 mm at the far end. Quadratic elements, half as stiff on one side, ν = 0.48.
    """
    mesh = slab((6, 4, 2))
    centre = mesh.points[mesh.tetrahedra].mean(axis=1)
    young = np.where(centre[:, 1] > 0, 4e4, 2e4)
    law = NeoHookean(young / 2.96, young * 0.48 / (1.48 * 0.04))
    model = Model.from_mesh(mesh, {"*": law}, density=1000.0, element="T10")
    problem = model.problem(loads=[Gravity((0.0, 0.0, -5.0))], supports=[Fixed("x0")])
    moved = np.asarray(solve(problem, load_steps=3, tolerance=1e-7).final.displacement)
    assert 0.008 < np.linalg.norm(moved, axis=1).max() < 0.04
    turn, shift = Rotation.from_rotvec([0.05, -0.08, 0.1]), np.array([0.008, -0.006, 0.01])
    now = turn.apply(np.asarray(model.points) + moved) + shift
    draw = np.random.default_rng(2)
    facets = model.facets_of("z1")[:, :3]
    chosen = facets[draw.integers(0, len(facets), 300)]
    seen = np.einsum("nk,nki->ni", draw.dirichlet(np.ones(3), 300), now[chosen]) + 1e-3 * draw.standard_normal((300, 3))
    seen[::40] += 0.008 * draw.standard_normal((8, 3))
    corners = np.asarray(model.blocks[0].nodes)[:, :4]
    return seen, np.asarray(model.points)[corners].mean(axis=1), now[corners].mean(axis=1)


def test_targets_inside_are_found_within_3_mm_and_better_than_rigid(bent: tuple[np.ndarray, ...]) -> None:
    """From the upper side alone, with the pose unknown; the truth's supports and loads are not among the unknowns."""
    seen, targets, truth = bent
    model = Model.from_mesh(slab((8, 5, 3)), {"*": NeoHookean.from_young(5e3, 0.45)})
    found = register(model, seen, prior=Prior(modes=24, stiffness_modes=8))
    place, covariance = found.targets(targets[5:-5] * 0.98)
    inner = truth[5:-5]
    away = np.linalg.norm(found.targets(targets)[0] - truth, axis=1)
    rigid = np.linalg.norm(found.rigid.seen_from_model(targets) - truth, axis=1)
    assert away.mean() < 3e-3
    assert away.mean() < 0.7 * rigid.mean()
    assert 0.2 < found.visible_share < 0.6
    spread = np.sqrt(np.einsum("kii->k", covariance))
    assert (spread > 2e-4).all()
    assert place.shape == inner.shape
    assert "hidden loads" in found.statement


def test_a_rigid_motion_is_found_by_alignment_alone() -> None:
    mesh = slab((8, 5, 3))
    points, facets = mesh.points * 1e-3, mesh.facet_sets["surface"]
    draw = np.random.default_rng(0)
    seen = points[np.unique(facets)][::2]
    turn, shift = Rotation.from_rotvec([0.1, -0.15, 0.12]), np.array([0.01, 0.012, -0.006])
    found = align_from_many(turn.apply(seen) + shift, points, facets)
    assert np.abs(found.seen_from_model(points) - (turn.apply(points) + shift)).max() < 2e-4
    assert draw is not None


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
