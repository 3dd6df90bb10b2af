"""Fibre fields: unit vectors (E, 3) or (E, Q, 3) in LPS, one for each element (or quadrature point) of a mesh.

wall = laplace(mesh, "endocardium", "epicardium")
fiber, sheet = helix(mesh, wall, axis=(0, 0, 1), inner=60.0, outer=-60.0)
model = Model.from_mesh(mesh, {"*": HolzapfelOgden(..., fiber=fiber, sheet=sheet, bulk_modulus=1e5)})
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ...meshing.mesh import HexMesh, TetMesh
from . import given
from .elements import element_named
from .laplace import Harmonic

SHORTEST = 1e-10
"""A vector this much shorter than the others of its field has no direction."""
ADVICE = "Return a real vector for each position"
Mesh = TetMesh | HexMesh


def constant(mesh: Mesh, direction: Any) -> NDArray[np.float64]:
    """One direction for all elements (E, 3).

    Raises:
        SolverError: it has no length or is not finite.
    """
    unit = np.asarray(given.array(direction, "a direction", "fibres", (3,), advice="Give x, y, z"))
    return normalised(mesh, np.broadcast_to(unit, (len(mesh.cells), 3)), "constant")


def from_function(
    mesh: Mesh, direction: Callable[[NDArray], NDArray], *, element: str | None = None
) -> NDArray[np.float64]:
    """Directions from a function of the position.

    Args:
        mesh: where.
        direction: positions (n, 3) in mm, LPS → vectors (n, 3) of any length.
        element: name of the element that will be used, to evaluate at each of its quadrature points: (E, Q, 3).
            At the centres of the elements without it: (E, 3).

    Raises:
        SolverError: a vector has no length or is not finite; the element and its coordinate are told.
    """
    corners = mesh.points[mesh.cells]
    if element is None:
        return normalised(mesh, _evaluated(direction, corners.mean(axis=1)), "function")
    kind, simplest = element_named(element), element_named("T4" if isinstance(mesh, TetMesh) else "H8")
    shape = simplest.shape(kind.quadrature.points)
    places = np.einsum("qa,eai->eqi", shape, corners)
    return normalised(mesh, _evaluated(direction, places.reshape(-1, 3)).reshape(places.shape), "function")


def _evaluated(direction: Callable[[NDArray], NDArray], places: NDArray) -> NDArray[np.float64]:
    try:
        found = np.asarray(direction(places))
    except (TypeError, ValueError) as error:
        raise SolverError(f"the field fails: {error}", where="fibres, function", advice=ADVICE) from error
    if found.dtype.kind not in "fiu" or found.shape != places.shape:
        raise SolverError(
            f"the field returned {found.dtype} of shape {found.shape} for {places.shape}",
            where="fibres, function",
            advice=ADVICE,
        )
    return found.astype(float)


def along_gradient(mesh: Mesh, field: Harmonic) -> NDArray[np.float64]:
    """Fibres along ∇φ (E, 3): from one side of a body to the other, as in a muscle between its tendons.

    The Laplace–Dirichlet method: Bayer et al., Ann Biomed Eng 40:2243 (2012); Choi and Blemker, PLoS ONE 8:e77576
    (2013).

    Raises:
        SolverError: the gradient is zero in an element, which is told with its coordinate.
    """
    return normalised(mesh, field.gradient, "gradient of φ")


def helix(
    mesh: Mesh, wall: Harmonic, *, axis: Any, inner: float = 60.0, outer: float = -60.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fibres that turn through a wall, as in the left ventricle, and sheets across it.

    Args:
        mesh: the wall.
        wall: φ from the inner surface (0) to the outer one (1).
        axis: long axis from apex to base, (3,) or (E, 3), for example the gradient of another φ.
        inner: helix angle [°] at φ = 0, from the circumferential direction towards the axis.
        outer: at φ = 1; linear in φ between.

    Returns:
        Fibres and sheets (E, 3), at right angles: with t = ∇φ/|∇φ|, l the axis made perpendicular to t and c = l × t
        (counter-clockwise seen from the base where ∇φ points outward), f = cos α c + sin α l and s = t.

    Raises:
        SolverError: ∇φ is zero in an element, or the axis runs along it (at the tip of an apex); it is told with its
            coordinate.
    """
    inner, outer = (given.number(angle, "an angle", "helix", advice="Give degrees") for angle in (inner, outer))
    frame = WallFrame.of(mesh, wall, axis)
    return frame.turned(inner + (outer - inner) * frame.depth), frame.across


@dataclass(frozen=True, eq=False)
class WallFrame:
    """Directions in each element of a wall, unit vectors (E, 3) in LPS, and how deep it lies.

    Attributes:
        around, along: in the plane of the wall, circumferential and from apex to base.
        across: from the inner to the outer surface.
        depth: (E,) 0 at the inner surface, 1 at the outer one.
    """

    around: NDArray[np.float64]
    along: NDArray[np.float64]
    across: NDArray[np.float64]
    depth: NDArray[np.float64]

    @classmethod
    def of(cls, mesh: Mesh, wall: Harmonic, axis: Any) -> WallFrame:
        """Arguments and errors as of `helix`."""
        if not isinstance(wall, Harmonic) or len(wall.gradient) != len(mesh.cells):
            advice = "Give laplace(mesh, inner, outer)"
            raise SolverError("the wall's φ is not of this mesh", where="helix", advice=advice)
        return cls.across_wall(mesh, wall.gradient, wall.means, axis)

    @classmethod
    def across_wall(cls, mesh: Mesh, gradient: NDArray, depth: NDArray, axis: Any) -> WallFrame:
        """From any vectors across the wall (E, 3)."""
        across = normalised(mesh, gradient, "gradient of φ")
        axes = constant(mesh, axis) if np.ndim(axis) == 1 else normalised(mesh, np.asarray(axis, float), "axis")
        along = normalised(mesh, axes - np.sum(axes * across, axis=1)[:, None] * across, "axis across the wall", 1e-6)
        return cls(np.cross(along, across), along, across, depth)

    def turned(self, degrees: NDArray) -> NDArray[np.float64]:
        """Fibres cos α c + sin α l of an angle α [°] (E,)."""
        angle = np.radians(degrees)[:, None]
        return np.cos(angle) * self.around + np.sin(angle) * self.along


def normalised(mesh: Mesh, vectors: NDArray, what: str, shortest: float | None = None) -> NDArray[np.float64]:
    """Vectors (E, ..., 3) at unit length.

    Raises:
        SolverError: one is not finite, or shorter than `shortest` (by default 1e-10 of the longest).
    """
    vectors = np.asarray(vectors, float)
    length = np.linalg.norm(vectors, axis=-1)
    limit = SHORTEST * np.nanmax(length, initial=0.0) if shortest is None else shortest
    bad = np.argwhere(~(np.isfinite(length) & (length > limit)))
    if bad.size:
        element, size = int(bad[0, 0]), length[tuple(bad[0])]
        place = np.round(mesh.points[mesh.cells[element]].mean(axis=0), 2)
        state = f"has the length {size:.3g}" if np.isfinite(size) else "is not finite"
        raise SolverError(
            f"the fibre of element {element} at {place} mm {state}",
            where=f"fibres, {what}",
            advice="Give it a direction: change the field or the sets there, or set that element by hand",
        )
    return vectors / length[..., None]
