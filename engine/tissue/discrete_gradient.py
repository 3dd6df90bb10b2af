"""Internal forces between two instants that do exactly the work by which the strain energy changes.

S = ∫₀¹ 2 ∂W/∂C(C + ξ ΔC) dξ + 2 (ΔW − the work of that) ΔC / ΔC:ΔC,   P = ½ (F + F⁺) S,   so that P : ΔF = W⁺ − W

at every point, and S is symmetric and does not feel rotations. The mean is taken by three Gauss points, whose miss the
second part makes up for where the strain of the step is not small (below, it is less than round-off).

Elements with a mean volume ratio θ = ∫J dV/V have W(C, θ): p = ∂W/∂θ is averaged along the same line, and p̄, its mean
over the element, acts on the S of J itself: S + p̄ S_J does the work of both, since ∫ ½ S_J : ΔC dV = V Δθ.

Gonzalez (2000), *Comput. Methods Appl. Mech. Eng.* 190:1763, with the mean along the line in C in place of the value
half way; Simo and Tarnow (1992), *ZAMP* 43:757.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...imaging.errors import SolverError
from . import residual
from .contact.rigid import RigidTerm
from .derivatives.solids import plain
from .elements.base import Element, internal_force
from .elements.mean_dilatation import MeanDilatation, mean_of, with_ratio
from .history import remembers
from .materials import Material, batch_last
from .problem import Problem
from .tensors import Scalar, Tensor, determinant, first_piola, from_array, inverse
from .terms import Term

Density = Callable[[Tensor], Scalar]
Ends = tuple[Array, Array]
GAUSS = 0.5 + np.sqrt(0.15) * np.array([-1.0, 0.0, 1.0]).reshape(3, 1, 1), np.array([5.0, 8.0, 5.0]) / 18.0
"""Places on the way and their shares; the law is written once for all three, which keeps what is compiled small."""
LARGE_STRAIN = 1e-2
"""|ΔC| above which the miss of three points, of the order of |ΔC|⁷/2,000,000, may exceed round-off of the energy."""


def check_conserving(problem: Problem) -> None:
    """Only elastic solids without unknown pressures have such forces.

    Raises:
        SolverError: names what has none, and where.
    """
    for block in problem.model.blocks:
        if not (plain(block.element) or isinstance(block.element, MeanDilatation)):
            raise SolverError(
                f"{block.element.name} has no forces that conserve energy from step to step",
                where=f"region {problem.model.region_name(int(block.region[0]))!r}",
                advice="Take T4, T10, H8, or another integrator, such as Midpoint",
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
    ends, law = (old.deformation_gradient, new.deformation_gradient), batch_last(material).energy_density
    if isinstance(element, MeanDilatation):
        stress = _shared_volume_stress(law, ends, old.weight)
    else:
        stress = _mean_stress(lambda at: law, ends, law(from_array(ends[1])) - law(from_array(ends[0])))
    middle = 0.5 * (ends[0] + ends[1])
    piola = jnp.sum(middle[:, :, None] * stress[None], axis=1)
    return internal_force(old.gradient, old.weight, piola)


def _mean_stress(law_at: Callable[[Any], Density], ends: Ends, gain: Scalar) -> Float[Array, "3 3 points elements"]:
    """S [Pa] between F and F⁺ for which ½ S : ΔC is the gain [J/m³]; the law may change along the way."""
    change = _stretch(ends[1]) - _stretch(ends[0])
    stress = jnp.einsum("g,ijgqe->ijqe", GAUSS[1], _stress(law_at(GAUSS[0]), _on_the_way(ends)))
    square = jnp.sum(change * change, axis=(0, 1))
    large = square > LARGE_STRAIN**2
    miss = jnp.where(large, gain - 0.5 * jnp.sum(stress * change, axis=(0, 1)), 0.0)
    return stress + 2.0 * miss / jnp.where(large, square, 1.0) * change


def _shared_volume_stress(law: Density, ends: Ends, weight: Array) -> Float[Array, "3 3 points elements"]:
    """S + p̄ S_J [Pa] of a law whose volume ratio is the element's mean."""
    tensors = [from_array(end) for end in ends]
    ratios = [determinant(tensor) for tensor in tensors]
    means = [jnp.broadcast_to(mean_of(ratio, weight), weight.shape) for ratio in ratios]
    rise = means[1] - means[0]

    def law_at(at: Any) -> Density:
        return lambda tensor: law(with_ratio(tensor, means[0] + at * rise))

    half_way = _upper(_on_the_way(ends))
    slopes = jax.grad(lambda mean: jnp.sum(law(with_ratio(half_way, mean))))(means[0] + GAUSS[0] * rise)
    slope = jnp.einsum("g,gqe->qe", GAUSS[1], slopes)
    gain = law_at(1.0)(tensors[1]) - law_at(0.0)(tensors[0]) - slope * rise
    volume = _mean_stress(lambda at: determinant, ends, ratios[1] - ratios[0])
    return _mean_stress(law_at, ends, gain) + mean_of(slope, weight) * volume


def _on_the_way(ends: Ends) -> Float[Array, "3 3 gauss points elements"]:
    """C at the three places."""
    before, after = (_stretch(end)[:, :, None] for end in ends)
    return before + GAUSS[0] * (after - before)


def _stretch(gradient: Array) -> Float[Array, "3 3 ..."]:
    """C = Fᵀ F."""
    return jnp.sum(gradient[:, :, None] * gradient[:, None], axis=0)


def _upper(stretch: Array) -> Tensor:
    """The upper triangular F with Fᵀ F = C (Cholesky)."""
    a = jnp.sqrt(stretch[0, 0])
    b, c = stretch[0, 1] / a, stretch[0, 2] / a
    d = jnp.sqrt(stretch[1, 1] - b * b)
    e = (stretch[1, 2] - b * c) / d
    f = jnp.sqrt(stretch[2, 2] - c * c - e * e)
    none = jnp.zeros_like(a)
    return Tensor([a, b, c, none, d, e, none, none, f])


def _stress(law: Density, stretch: Array) -> Float[Array, "3 3 ..."]:
    """S = 2 ∂W/∂C = F⁻¹ P(F) [Pa]."""
    gradient = _upper(stretch)
    piola = first_piola(law, gradient)[1]
    stress = jnp.sum(inverse(gradient)[0].array[:, :, None] * piola.array[None], axis=1)
    return 0.5 * (stress + jnp.swapaxes(stress, 0, 1))


def mean_forces(terms: Sequence[Term], points: Array, before: Array, after: Array, fraction: Any) -> Array:
    """What forces that conserve energy over a step (one-sided beds, rigid contact) are beyond those half way [N]."""
    total, middle = jnp.zeros_like(after), 0.5 * (before + after)
    for term in terms:
        nodes, at = term.nodes, jnp.asarray(fraction)
        mean = _mean_force(term, points[nodes], before[nodes], after[nodes], at)
        total = total.at[nodes].add(mean - term.forces(points[nodes], middle[nodes], at))
    return total


def beyond_half_way(before: Array, after: Array, problem: Problem, fraction: Any) -> Float[Array, "rows 3"]:
    """What internal minus external forces [N] that conserve energy over a step are beyond those half way."""
    terms = [term for term in problem.fixed_terms() if term.conserving]
    inside = conserving_force(before, after, problem, fraction) - residual.internal_force(
        0.5 * (before + after), problem, fraction
    )
    return inside - mean_forces(terms, problem.model.row_points, before, after, fraction)


def _mean_force(term: Term, reference: Array, before: Array, after: Array, fraction: Array) -> Array:
    if isinstance(term, RigidTerm):
        shared = term.body

        def one(group: RigidTerm, points: Array, first: Array, last: Array) -> Array:
            return replace(group, body=shared).mean_force(points, first, last, fraction)

        return jax.vmap(one)(replace(term, body=None), reference, before, after)
    return jax.vmap(type(term).mean_force, (0, 0, 0, 0, None))(term, reference, before, after, fraction)
