"""Internal forces between two instants that do exactly the work by which the strain energy changes.

S = ∫₀¹ 2 ∂W/∂C(C + ξ ΔC) dξ + 2 (ΔW − the work of that) ΔC / ΔC:ΔC,   P = ½ (F + F⁺) S,   so that P : ΔF = W⁺ − W

at every point, and S is symmetric and does not feel rotations. The mean is taken by three Gauss points, whose miss the
second part makes up for where the strain of the step is not small (below, it is less than round-off).

Gonzalez (2000), *Comput. Methods Appl. Mech. Eng.* 190:1763, with the mean along the line in C in place of the value
half way; Simo and Tarnow (1992), *ZAMP* 43:757.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...imaging.errors import SolverError
from .contact.rigid import RigidTerm
from .derivatives.solids import plain
from .elements.base import Element, internal_force
from .history import remembers
from .materials import Material, batch_last
from .problem import Problem
from .tensors import Tensor, first_piola, from_array, inverse
from .terms import Term

GAUSS = tuple(zip((0.5 - np.sqrt(0.15), 0.5, 0.5 + np.sqrt(0.15)), (5 / 18, 8 / 18, 5 / 18), strict=True))
LARGE_STRAIN = 1e-2
"""|ΔC| above which the miss of three points, of the order of |ΔC|⁷/2,000,000, may exceed round-off of the energy."""


def check_conserving(problem: Problem) -> None:
    """Only elastic solids of plain elements have such forces.

    Raises:
        SolverError: names what has none, and where.
    """
    for block in problem.model.blocks:
        if not plain(block.element):
            raise SolverError(
                f"{block.element.name} has no forces that conserve energy from step to step",
                where=f"region {problem.model.region_name(int(block.region[0]))!r}",
                advice="Take T4, T10, or another integrator, such as Midpoint",
            )
    if remembers(problem.model):
        raise SolverError(
            "a material that remembers does not conserve energy",
            where="EnergyMomentum",
            advice="Take another integrator, such as GeneralizedAlpha",
        )


def conserving_force(before: Array, after: Array, problem: Problem, fraction: Any) -> Float[Array, "rows 3"]:
    """∫ P ∂N/∂X dV [N] between two displacements (rows, 3) [m], material parameters at a load fraction."""
    total, points = jnp.zeros_like(after), problem.model.row_points
    for block in problem.model.blocks:
        at = (points[block.nodes], before[block.nodes], after[block.nodes])
        force = conserving_forces(block.element, *at, block.material.at(fraction))
        for corner in range(block.element.nodes):
            total = total.at[block.nodes[:, corner]].add(force[:, corner])
    return total


@partial(jax.jit, static_argnums=0)
def conserving_forces(
    element: Element, reference: Array, before: Array, after: Array, material: Material
) -> Float[Array, "elements nodes 3"]:
    """Of each element [N]; reference and displacements (E, n, 3) [m], the material element first."""
    old, new = (element.kinematics(reference, moved) for moved in (before, after))
    ends = old.deformation_gradient, new.deformation_gradient
    stress = _mean_stress(batch_last(material), *ends)
    middle = 0.5 * (ends[0] + ends[1])
    piola = jnp.sum(middle[:, :, None] * stress[None], axis=1)
    return internal_force(old.gradient, old.weight, piola)


def _mean_stress(material: Material, before: Array, after: Array) -> Float[Array, "3 3 ..."]:
    """S [Pa] between F and F⁺ (3, 3, ...)."""
    stretch, change = _stretch(before), _stretch(after) - _stretch(before)
    stress = sum(share * _stress(material, stretch + at * change) for at, share in GAUSS)
    gain = material.energy_density(from_array(after)) - material.energy_density(from_array(before))
    square = jnp.sum(change * change, axis=(0, 1))
    large = square > LARGE_STRAIN**2
    miss = jnp.where(large, gain - 0.5 * jnp.sum(stress * change, axis=(0, 1)), 0.0)  # pyright: ignore[reportArgumentType]
    return stress + 2.0 * miss / jnp.where(large, square, 1.0) * change  # pyright: ignore[reportReturnType]


def _stretch(gradient: Array) -> Float[Array, "3 3 ..."]:
    """C = Fᵀ F."""
    return jnp.sum(gradient[:, :, None] * gradient[:, None], axis=0)


def _stress(material: Material, stretch: Array) -> Float[Array, "3 3 ..."]:
    """S = 2 ∂W/∂C = F⁻¹ P(F) [Pa], F the upper triangular one with Fᵀ F = C (Cholesky)."""
    a = jnp.sqrt(stretch[0, 0])
    b, c = stretch[0, 1] / a, stretch[0, 2] / a
    d = jnp.sqrt(stretch[1, 1] - b * b)
    e = (stretch[1, 2] - b * c) / d
    f = jnp.sqrt(stretch[2, 2] - c * c - e * e)
    none = jnp.zeros_like(a)
    gradient = Tensor([a, b, c, none, d, e, none, none, f])
    piola = first_piola(material.energy_density, gradient)[1].array
    stress = jnp.sum(inverse(gradient)[0].array[:, :, None] * piola[None], axis=1)
    return 0.5 * (stress + jnp.swapaxes(stress, 0, 1))


def mean_forces(terms: Sequence[Term], points: Array, before: Array, after: Array, fraction: Any) -> Array:
    """What forces that conserve energy over a step (one-sided beds, rigid contact) are beyond those half way [N]."""
    total, middle = jnp.zeros_like(after), 0.5 * (before + after)
    for term in terms:
        nodes, at = term.nodes, jnp.asarray(fraction)
        mean = _mean_force(term, points[nodes], before[nodes], after[nodes], at)
        total = total.at[nodes].add(mean - term.forces(points[nodes], middle[nodes], at))
    return total


def _mean_force(term: Term, reference: Array, before: Array, after: Array, fraction: Array) -> Array:
    if isinstance(term, RigidTerm):
        shared = term.body

        def one(group: RigidTerm, points: Array, first: Array, last: Array) -> Array:
            return replace(group, body=shared).mean_force(points, first, last, fraction)

        return jax.vmap(one)(replace(term, body=None), reference, before, after)
    return jax.vmap(type(term).mean_force, (0, 0, 0, 0, None))(term, reference, before, after, fraction)


_mean_forces = jax.jit(mean_forces)


class ConservingForces:
    """The same on the host, in pieces of the one shape that is compiled."""

    def __init__(self, problem: Problem) -> None:
        check_conserving(problem)
        self.problem, self.points = problem, np.asarray(problem.model.row_points)
        self.terms = [term for term in problem.begun().fixed_terms() if term.conserving]

    def __call__(self, before: Any, after: Any, fraction: float) -> np.ndarray:
        """(rows, 3) N between two displacements [m]."""
        moved = np.asarray(before), np.asarray(after)
        total = np.zeros_like(self.points)
        for block in self.problem.model.blocks:
            nodes, size, material = np.asarray(block.nodes), block.element.chunk, block.material.at(fraction)
            for start in range(0, len(nodes), size):
                rows = np.minimum(np.arange(start, start + size), len(nodes) - 1)
                part = jax.tree.map(lambda leaf, r=rows: np.asarray(leaf)[r], material)
                at = nodes[rows]
                force = conserving_forces(block.element, self.points[at], moved[0][at], moved[1][at], part)  # pyright: ignore[reportArgumentType]
                true = min(size, len(nodes) - start)
                np.add.at(total, at[:true], np.asarray(force)[:true])
        return total

    def external(self, before: Any, after: Any, fraction: float) -> Any:
        """What supports push beyond their force half way (rows, 3) [N]."""
        return _mean_forces(self.terms, self.points, np.asarray(before), np.asarray(after), fraction)
