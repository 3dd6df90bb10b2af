"""Layers of tetrahedra grown outward from a triangle surface: walls of given thickness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..imaging.errors import MeshError
from .mesh import signed_volumes
from .sets import facet_normals
from .smoothing import umbrella

THINNEST = 0.3
"""Share of the asked thickness below which a wall is refused rather than thinned further."""

LEAST_VOLUME = 0.1
"""Least volume of a wall element as a share of that in a straight prism of its thickness."""


@dataclass(frozen=True, eq=False)
class Plane:
    """An open end's plane.

    Attributes:
        point: (3,) LPS mm.
        normal: (3,) unit, away from the vessel.
    """

    point: NDArray[np.float64]
    normal: NDArray[np.float64]

    def heights(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) mm over the plane."""
        return (points - self.point) @ self.normal


class GrowthError(MeshError):
    """A wall cannot be grown; `nodes` are those it turns over at."""

    def __init__(self, thickness_mm: float, points: NDArray[np.float64], nodes: NDArray[np.integer]) -> None:
        self.nodes = nodes
        super().__init__(
            f"a wall of {thickness_mm:g} mm turns over near {np.round(points[nodes[0]], 1)} mm",
            where="vessel wall",
            advice="Use a thinner wall or a shorter edge, or cut that branch off",
        )


@dataclass(frozen=True, eq=False)
class Layers:
    """A grown wall.

    Attributes:
        points: (V + n·layers, 3): the given points first, then each layer's copies of the wall's nodes.
        tetrahedra: (3 F layers, 4) positive.
        outer: (F, 3) the outermost triangles, normals outward.
        outer_nodes: (n, layers) copies of `nodes`, from the inside out.
        nodes: (n,) the nodes that the wall stands on.
        thickness: (n,) mm reached at each node.
    """

    points: NDArray[np.float64]
    tetrahedra: NDArray[np.int32]
    outer: NDArray[np.int32]
    outer_nodes: NDArray[np.int32]
    nodes: NDArray[np.int32]
    thickness: NDArray[np.float64]


def grow(
    points: NDArray[np.float64],
    triangles: NDArray[np.int32],
    *,
    thickness_mm: float,
    layers: int,
    ends: Sequence[tuple[Plane, NDArray[np.integer]]] | None = None,
    rounds: int = 12,
    thinnest: float = THINNEST,
) -> Layers:
    """Grow `layers` prism layers outward and cut each prism into three tetrahedra.

    Directions are the nodes' normals; a node's step is lengthened where the facets around it lean
    away, so that the thickness is met at right angles to them. Where layers would turn over or
    two parts of the vessel would grow into each other (a bifurcation's crotch), the offset is
    shortened there and blended into its neighbourhood.

    Args:
        points: (V, 3) mm.
        triangles: (F, 3) oriented manifold, closed or open, normals outward.
        thickness_mm: of the wall.
        layers: of elements.
        ends: planes and the nodes in them: these grow within their plane.
        rounds: most repairs.
        thinnest: share of the thickness below which the repair is given up.

    Raises:
        GrowthError: the wall cannot be grown without inversion.
        MeshError: thickness or layers are not positive.
    """
    if not thickness_mm > 0 or layers < 1:
        raise MeshError(f"a wall of {thickness_mm} mm in {layers} layers is not possible", where="vessel wall")
    nodes, local = np.unique(triangles, return_inverse=True)
    local = local.reshape(-1, 3).astype(np.int32)
    base = points[nodes]
    number = np.full(len(points), -1)
    number[nodes] = np.arange(len(nodes))
    flat = [(plane, number[held][number[held] >= 0]) for plane, held in ends or []]
    direction = _directions(base, local, flat)
    share = np.ones(len(nodes))
    mean = umbrella(local, len(nodes))
    prisms = _prism_tetrahedra(local, len(nodes), layers)
    stack = _stack(base, direction * (share * thickness_mm)[:, None], layers)
    bad = _bad_nodes(stack, prisms, local, len(nodes), thickness_mm)
    for _ in range(rounds):
        if not bad.any() or share.min() < thinnest:
            break
        share[bad] *= 0.85
        # a direction that lies in a facet never grows out of it, however short: lean on the neighbours'
        leaning = _seeing(_unit(direction + mean @ direction), base, local, flat)
        direction[bad] = leaning[bad] * np.linalg.norm(direction[bad], axis=1, keepdims=True)
        share = np.minimum(share, 0.5 * (share + mean @ share))
        stack = _stack(base, direction * (share * thickness_mm)[:, None], layers)
        bad = _bad_nodes(stack, prisms, local, len(nodes), thickness_mm)
    if bad.any():
        raise GrowthError(thickness_mm, points, nodes[bad])
    return _layers(points, nodes, stack, prisms, local, layers, share * thickness_mm)


def _seeing(
    direction: NDArray[np.float64], base: NDArray, triangles: NDArray, flat: list, least: float = 0.35, rounds: int = 30
) -> NDArray[np.float64]:
    """Unit directions turned until each looks out of all facets around its node (as far as there is such a one).

    A wall can be grown from a node, thin enough, if and only if its direction has a positive part along the normal
    of every facet there; a mean of normals need not have in a crease. Each round turns toward the facet seen least.
    """
    facing = facet_normals(base, triangles)
    node, face = triangles.ravel(), np.repeat(np.arange(len(triangles)), 3)
    order = np.argsort(node, kind="stable")
    node, face = node[order], face[order]
    first = np.searchsorted(node, np.arange(len(base)))
    seen = direction.copy()
    for _ in range(rounds):
        cosine = np.einsum("ij,ij->i", seen[node], facing[face])
        worst = np.minimum.reduceat(cosine, first)
        blind = np.flatnonzero(worst < least)
        if not blind.size:
            break
        which = np.zeros(len(base), dtype=np.int64)
        hit = np.flatnonzero(cosine == worst[node])
        which[node[hit]] = face[hit]
        seen[blind] = _unit(seen[blind] + 0.3 * facing[which[blind]])
        for plane, within in flat:
            seen[within] = _unit(seen[within] - np.outer(seen[within] @ plane.normal, plane.normal))
    return seen


def _directions(base: NDArray, triangles: NDArray, flat: list) -> NDArray[np.float64]:
    """(n, 3) steps for unit thickness."""
    corner, facing = base[triangles], facet_normals(base, triangles)
    normal = _angle_weighted(corner, facing, triangles, len(base))
    mean = umbrella(triangles, len(base))
    for _ in range(2):
        normal = _unit(normal + mean @ normal)
        for plane, held in flat:
            tangent = normal[held] - np.outer(normal[held] @ plane.normal, plane.normal)
            normal[held] = _unit(tangent)
    normal = _seeing(normal, base, triangles, flat)
    cosine = np.einsum("fci,fi->fc", normal[triangles], facing)
    total = np.bincount(triangles.ravel(), cosine.ravel(), minlength=len(base))
    average = total / np.maximum(np.bincount(triangles.ravel(), minlength=len(base)), 1)
    return normal / np.clip(average, 0.75, 1.0)[:, None]


def _angle_weighted(corner: NDArray, facing: NDArray, triangles: NDArray, count: int) -> NDArray[np.float64]:
    result = np.zeros((count, 3))
    for here in range(3):
        u = _unit(corner[:, (here + 1) % 3] - corner[:, here])
        v = _unit(corner[:, (here + 2) % 3] - corner[:, here])
        angle = np.arccos(np.clip(np.einsum("ij,ij->i", u, v), -1, 1))
        np.add.at(result, triangles[:, here], facing * angle[:, None])
    return _unit(result)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)


def _stack(base: NDArray, step: NDArray, layers: int) -> NDArray[np.float64]:
    """((layers + 1) n, 3): the base and its copies."""
    return np.concatenate([base + step * (level / layers) for level in range(layers + 1)])


def _prism_tetrahedra(triangles: NDArray[np.int32], count: int, layers: int) -> NDArray[np.int32]:
    """Each prism as a staircase over its corners in ascending order, so that neighbours cut shared sides alike."""
    order = np.argsort(triangles, axis=1)
    a, b, c = np.take_along_axis(triangles, order, axis=1).T
    even = (order[:, 0] + 1) % 3 == order[:, 1]
    cells, signs = [], []
    for level in range(layers):
        low, high = level * count, (level + 1) * count
        cells += [
            np.stack([a + low, b + low, c + low, c + high], axis=1),
            np.stack([a + low, b + low, b + high, c + high], axis=1),
            np.stack([a + low, a + high, b + high, c + high], axis=1),
        ]
        # for an even ordering: the first is positive as it stands, the second has two corners turned, the third none
        signs += [np.where(even, 1, -1), np.where(even, -1, 1), np.where(even, 1, -1)]
    whole = np.concatenate(cells)
    return np.where((np.concatenate(signs) > 0)[:, None], whole, whole[:, [0, 1, 3, 2]]).astype(np.int32)


def _bad_nodes(stack: NDArray, prisms: NDArray, triangles: NDArray, count: int, thickness: float) -> NDArray[np.bool_]:
    """(n,) nodes whose columns take part in an inverted element or reach into another part's wall."""
    six = 6.0 * signed_volumes(stack, prisms)
    base = stack[triangles]
    area = np.linalg.norm(np.cross(base[:, 1] - base[:, 0], base[:, 2] - base[:, 0]), axis=1)
    levels = len(prisms) // len(triangles) // 3
    # of a prism as high as this one is meant to be: a wall thinned on purpose is not flat for it
    height = np.linalg.norm(stack[-count:] - stack[:count], axis=1)[triangles].min(axis=1)
    straight = np.tile(area * np.minimum(height, thickness) / levels, 3 * levels)
    bad = np.zeros(count, dtype=bool)
    bad[np.unique(prisms[six < LEAST_VOLUME * straight] % count)] = True
    return bad | _overlapping(stack, triangles, count, thickness)


def _overlapping(stack: NDArray, triangles: NDArray, count: int, thickness: float) -> NDArray[np.bool_]:
    """Nodes whose outer copy comes nearer to another part of the base than to its own."""
    outer, base = stack[-count:], stack[:count]
    own = np.linalg.norm(outer - base, axis=1)
    centre = base[triangles].mean(axis=1)
    facing = facet_normals(base, triangles)
    distance, face = KDTree(centre).query(outer, k=8, distance_upper_bound=2 * thickness)
    bad = np.zeros(count, dtype=bool)
    for column in range(distance.shape[1]):
        near = np.flatnonzero(np.isfinite(distance[:, column]))
        at = face[near, column]
        facing_back = np.einsum("ij,ij->i", facing[at], outer[near] - base[near]) < -0.2 * own[near]
        height = np.einsum("ij,ij->i", facing[at], outer[near] - centre[at])
        # a wall facing ours: each may take half of the gap
        bad[near[facing_back & (height < own[near])]] = True
    return bad


def _layers(points, nodes, stack, prisms, local, layers: int, thickness) -> Layers:
    count = len(nodes)
    fresh = len(points) + np.arange(count * layers)
    number = np.concatenate([nodes, fresh]).astype(np.int32)
    merged = np.concatenate([points, stack[count:]])
    outer_nodes = fresh.reshape(layers, count).T.astype(np.int32)
    return Layers(merged, number[prisms], outer_nodes[:, -1][local], outer_nodes, nodes.astype(np.int32), thickness)
