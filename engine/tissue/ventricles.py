"""Fibres of both ventricles at once.

fiber, sheet = biventricular(mesh, "left_endocardium", "right_endocardium", "epicardium", axis=(0, 0, 1))

A Laplace–Dirichlet rule in the manner of Bayer, Blake, Plank and Trayanova (2012), *Ann. Biomed. Eng.* 40:2243, with
one transmural direction for all walls as in Doste et al. (2019), *Int. J. Numer. Meth. Biomed. Eng.* 35:e3185.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import given
from .fibers import Mesh, WallFrame
from .laplace import laplace

GROOVE = 0.5
"""Where |φ_L − φ_R| is below this share of φ_L + φ_R, the left epicardium passes over into the right one."""


def biventricular(
    mesh: Mesh,
    left: str | NDArray,
    right: str | NDArray,
    outside: str | NDArray,
    *,
    axis: Any,
    inner: float = 60.0,
    outer: float = -60.0,
    right_inner: float | None = None,
    right_outer: float | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fibres that turn through the walls of both ventricles and the septum between them, and sheets across.

    φ_L, φ_R and φ_E are harmonic, one on the left endocardium, the right one and the epicardium and zero on the other
    two; their sum is 1. With t = ∇(φ_R − φ_L), l the axis made perpendicular to t and c = l × t,

        f = cos α c + sin α l,    α = φ_L α_L − φ_R α_R + φ_E α_E,    s = t,

    α_E the left epicardium's angle or minus the right one's, passing from one to the other along the groove. In the
    right wall t points inward: there −α about t is +α about the outward direction (a fibre has no sense), so all
    angles are those of `helix`, seen from the ventricle's own cavity. Through the septum α goes from α_L to −α_R. An
    element with all its corners on one surface has no ∇φ and takes the mean of its neighbours'.

    Args:
        mesh: the walls of both.
        left, right, outside: facet or node sets, or node indices: both endocardia, and the epicardium.
        axis: long axis from apex to base, (3,) or (E, 3), for example the gradient of another φ.
        inner, outer: helix angle [°] at the left endocardium and epicardium.
        right_inner, right_outer: at the right ones; those of the left by default.

    Returns:
        Unit fibres and sheets (E, 3), at right angles.

    Raises:
        SolverError: a set is not there or shares a node with another; ∇(φ_R − φ_L) is zero in an element, or the axis
            runs along it; told with its coordinate.
    """
    angles = (
        inner,
        outer,
        inner if right_inner is None else right_inner,
        outer if right_outer is None else right_outer,
    )
    inside, out, right_inside, right_out = (
        given.number(angle, "an angle", "biventricular", advice="Give degrees") for angle in angles
    )
    ours, other = laplace(mesh, (right, outside), left), laplace(mesh, (left, outside), right)
    both = ours.means + other.means
    side = np.clip((ours.means - other.means) / np.maximum(both, 1e-12) / GROOVE, -1.0, 1.0)
    epicardial = 0.5 * (1.0 + side) * out - 0.5 * (1.0 - side) * right_out
    degrees = ours.means * inside - other.means * right_inside + (1.0 - both) * epicardial
    frame = WallFrame.across_wall(mesh, _filled(mesh, other.gradient - ours.gradient), both, axis)
    return frame.turned(degrees), frame.across


def _filled(mesh: Mesh, gradient: NDArray) -> NDArray[np.float64]:
    """With the mean of the elements that share a node where it vanishes."""
    size = np.linalg.norm(gradient, axis=1)
    none = size <= 1e-9 * size.max(initial=0.0)
    total = np.zeros((len(mesh.points), 3))
    np.add.at(total, mesh.cells[~none], gradient[~none][:, None])
    return np.where(none[:, None], total[mesh.cells].sum(axis=1), gradient)
