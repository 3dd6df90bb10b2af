"""Distances kept on a grid: of a surface, its smoothness, and what cannot be one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue.contact import GridDistance
from preop.engine.tissue.contact.surface_distance import signed_distance
from preop.imaging.errors import SolverError
from preop.meshing.mesh import SurfaceMesh


def cube(half: float = 10.0) -> SurfaceMesh:
    """Twelve triangles, normals outward, mm."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    return SurfaceMesh(corners, np.array([t for a, b, c, d in quads for t in ([a, b, c], [a, c, d])]))


def ball(radius: float = 10.0, levels: int = 3) -> SurfaceMesh:
    """An octahedron divided, pushed out onto a sphere, mm."""
    points = [np.array(p, float) for p in ([1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1])]
    faces = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    for _ in range(levels):
        middle: dict[tuple[int, int], int] = {}

        def half(a: int, b: int, middle: dict = middle) -> int:
            key = (min(a, b), max(a, b))
            if key not in middle:
                middle[key] = len(points)
                points.append((points[a] + points[b]) / np.linalg.norm(points[a] + points[b]))
            return middle[key]

        faces = [
            t
            for a, b, c in faces
            for t in (
                [a, half(a, b), half(c, a)],
                [half(a, b), b, half(b, c)],
                [half(c, a), half(b, c), c],
                [half(a, b), half(b, c), half(c, a)],
            )
        ]
    return SurfaceMesh(np.array(points) * radius, np.array(faces))


def largest_kink(mesh: SurfaceMesh) -> float:
    """Largest angle [rad] between the normals of two triangles that share an edge."""
    corner = mesh.points[mesh.triangles]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    edges = np.sort(mesh.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    pairs = np.lexsort(edges.T).reshape(-1, 2) // 3
    return float(np.arccos(np.einsum("ij,ij->i", normal[pairs[:, 0]], normal[pairs[:, 1]]).min()))


def cube_distance(x: np.ndarray, half: float) -> np.ndarray:
    beyond = np.abs(x) - half
    return np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0)


def test_signed_distance_of_a_cube() -> None:
    """Against the closed form, inside and out, nearest to faces, edges and corners."""
    mesh, places = cube(), np.random.default_rng(1).uniform(-20, 20, (5000, 3))
    found = signed_distance(mesh.points, mesh.triangles, places)
    assert found == pytest.approx(cube_distance(places, 10.0), abs=1e-12)


def test_grid_of_a_ball_converges_and_is_smooth() -> None:
    """Near the surface the error is that of the facets; the slope is the derivative and continuous over cells."""
    mesh = ball(levels=3)
    shape = GridDistance.from_surface(mesh, 1.5e-3, margin=3e-3)
    rng = np.random.default_rng(2)
    way = rng.standard_normal((400, 3))
    places = way / np.linalg.norm(way, axis=1)[:, None] * rng.uniform(0.0085, 0.0115, (400, 1))
    found, slope = jax.vmap(jax.value_and_grad(shape.distance))(jnp.asarray(places))
    exact = np.linalg.norm(places, axis=1) - 0.010
    a, b, c = (mesh.points[mesh.triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    planes = np.einsum("ij,ij->i", a, normal) / np.linalg.norm(normal, axis=1)
    deepest = 1e-3 * (10.0 - planes.min())  # how far the faceted ball lies within the round one, m
    assert np.abs(np.asarray(found) - exact).max() < 1.3 * deepest < 2.5e-4
    # On the kink between two facets a spline's slope is the mean of theirs: half of its angle off either.
    assert np.abs(np.linalg.norm(slope, axis=1) - 1.0).max() < 0.5 * largest_kink(mesh) < 0.1
    node = np.asarray(shape.origin) + 1.5e-3 * np.round((places[0] - np.asarray(shape.origin)) / 1.5e-3)
    sides = [jax.grad(shape.distance)(jnp.asarray(node + s * 1e-12)) for s in (-1, 1)]
    assert np.abs(sides[0] - sides[1]).max() < 1e-7


def test_grid_is_exact_at_its_points_and_beyond_a_plane() -> None:
    """A linear function is reproduced everywhere within, the splines go through their samples."""
    rng = np.random.default_rng(3)
    values = rng.uniform(-1, 1, (5, 6, 7))
    shape = GridDistance.from_values((0.1, 0.2, 0.3), 0.01, values)
    for index in ((0, 0, 0), (4, 5, 6), (2, 3, 1), (4, 0, 3)):
        place = jnp.asarray(np.array([0.1, 0.2, 0.3]) + 0.01 * np.array(index))
        assert float(shape.distance(place)) == pytest.approx(values[index], abs=1e-12)
    away = float(shape.distance(jnp.asarray([0.14 + 0.05, 0.25, 0.36])))
    assert away == pytest.approx(values[4, 5, 6] + 0.05, abs=1e-12)


def test_what_is_no_body_is_told() -> None:
    whole = cube()
    with pytest.raises(SolverError, match="not closed"):
        GridDistance.from_surface(SurfaceMesh(whole.points, whole.triangles[1:]), 2e-3)
    with pytest.raises(SolverError, match="inward"):
        GridDistance.from_surface(SurfaceMesh(whole.points, whole.triangles[:, ::-1]), 2e-3)
    with pytest.raises(SolverError, match="no surface"):
        GridDistance.from_values((0, 0, 0), 0.01, np.ones((5, 5, 5)))
    with pytest.raises(SolverError, match="too small"):
        GridDistance.from_values((0, 0, 0), 0.01, np.ones((2, 5, 5)))
