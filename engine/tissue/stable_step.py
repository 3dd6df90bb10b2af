"""The largest step of the explicit solver, and what mass would allow a larger one.

With M = Σ Mₑ and K = Σ Kₑ no eigenvalue of the body exceeds the largest of an element (Irons 1970; Fried 1972), so
Δt = 2 / max ωₑ is stable for central differences, and held nodes only help; slack cables, ligaments and wrinkled sheets
count as taut ones. Springs and contact have no mass of their
own: by Weyl's inequality ω² ≤ max ωₑ² + max over rows of Σ|K_t| / m.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from .kernels import BlockKernel, TermKernel
from .mass import element_masses, lumped
from .model import Model
from .places import element_place
from .problem import Problem


@dataclass(frozen=True)
class StableStep:
    """What bounds the step.

    Attributes:
        element_frequencies: of each block, (E,) largest ω of each element [rad/s].
        term_frequency: bound for springs, beds and contact [rad/s].
        worst_element: of the mesh, with the largest ω.
    """

    element_frequencies: tuple[NDArray[np.float64], ...]
    term_frequency: float
    worst_element: int

    @property
    def frequency(self) -> float:
        """Upper bound of the body's largest ω [rad/s]."""
        return float(np.hypot(max(part.max() for part in self.element_frequencies), self.term_frequency))

    @property
    def step(self) -> float:
        """2/ω [s], to be shortened by a safety factor."""
        return 2.0 / self.frequency


@dataclass(frozen=True)
class MassScaling:
    """Mass added to elements so that a wanted step is stable.

    Attributes:
        factors: of each block, (E,), 1 where nothing was added.
        elements: of the mesh, whose mass was raised.
        added: kg.
        added_share: over the mass of the body.
        largest_factor: over all elements.
    """

    factors: tuple[NDArray[np.float64], ...]
    elements: NDArray[np.int64]
    added: float
    added_share: float
    largest_factor: float

    def line(self) -> str:
        """One line for a report."""
        if not len(self.elements):
            return "no mass was added"
        return (
            f"mass scaling adds {100 * self.added_share:.3g} % of the body's mass to {len(self.elements)} elements, "
            f"at most {self.largest_factor:.3g} times an element's own"
        )


def lumped_masses(model: Model) -> list[Float[np.ndarray, "elements nodes"]]:
    """Diagonal masses [kg] of the elements of each block."""
    return [np.asarray(lumped(jnp.asarray(element_masses(model, block)))) for block in model.blocks]


def stable_step(problem: Problem, displacement: NDArray, fraction: float, masses: list[NDArray]) -> StableStep:
    """What bounds the step at a displacement [m] and load fraction, with the lumped masses of the elements [kg].

    Raises:
        SolverError: an element without mass or stiffness that is finite; names it.
    """
    model, found, worst = problem.model, [], (-1.0, 0)
    points = np.asarray(model.points)
    for block, mass in zip(model.blocks, masses, strict=True):
        frequency = _frequencies(BlockKernel(block.stiffest, points), displacement, fraction, mass)
        at = int(np.argmax(np.where(np.isfinite(frequency), frequency, np.inf)))
        if not np.isfinite(frequency[at]):
            raise SolverError(
                f"{element_place(model, int(block.source[at]))} has no finite stiffness over mass",
                where="stable step",
                advice="Check density, material and shape there",
            )
        worst = max(worst, (float(frequency[at]), int(block.source[at])))
        found.append(frequency)
    return StableStep(tuple(found), _term_frequency(problem, displacement, fraction, masses), worst[1])


def _frequencies(kernel: BlockKernel, displacement: NDArray, fraction: float, mass: NDArray) -> NDArray:
    size = kernel.nodes.shape[1]
    first, second = np.triu_indices(size)
    result = np.empty(len(kernel.nodes))
    for chunk, rows in enumerate(kernel.chunks.slices()):
        true = rows.stop - rows.start
        pairs = np.asarray(kernel.tangents(displacement, chunk, fraction))[:true].reshape(true, -1, 3, 3)
        half = np.zeros((true, size, size, 3, 3))
        weight = 1.0 / np.sqrt(np.where(mass[rows] > 0, mass[rows], np.inf))
        half[:, first, second] = pairs * (weight[:, first] * weight[:, second])[:, :, None, None]
        local = half.transpose(0, 1, 3, 2, 4).reshape(true, 3 * size, 3 * size)
        whole = local + local.transpose(0, 2, 1)
        finite = np.asarray(np.isfinite(whole).all(axis=(1, 2)))
        square = np.linalg.eigvalsh(np.where(finite.reshape(-1, 1, 1), whole, 0.0))[:, -1]
        result[rows] = np.where(finite & (square > 0), np.sqrt(np.maximum(square, 0.0)), np.nan)
    return result


def _term_frequency(problem: Problem, displacement: NDArray, fraction: float, masses: list[NDArray]) -> float:
    points = np.asarray(problem.model.points)
    nodal = nodal_masses(problem.model, masses)
    total = np.zeros_like(points)
    begun = problem.begun()
    pairs = [look.search(displacement, fraction) for look in begun.moving()]
    for term in (*begun.fixed_terms(), *pairs):
        if not term.dead and len(term.nodes):
            kernel = TermKernel(term.stiffest, points)
            rows = np.abs(kernel.tangents(displacement, fraction)).sum(axis=(2, 4))
            np.add.at(total, kernel.nodes, rows)
    share = total.max(axis=1) / np.where(nodal > 0, nodal, np.inf)
    return float(np.sqrt(share.max(initial=0.0)))


def nodal_masses(model: Model, masses: list[NDArray]) -> NDArray[np.float64]:
    """(rows,) kg."""
    total = np.zeros(len(model.points))
    for block, mass in zip(model.blocks, masses, strict=True):
        np.add.at(total, np.asarray(block.nodes), mass)
    return total


def scale_masses(
    model: Model, bound: StableStep, masses: list[NDArray], step: float, safety: float
) -> tuple[list[NDArray], MassScaling]:
    """Masses with which `step` [s] is stable, and what was added.

    Raises:
        SolverError: springs or contact alone allow less than this step.
    """
    room = (2.0 * safety / step) ** 2 - bound.term_frequency**2
    if room <= 0:
        raise SolverError(
            f"springs or contact allow no step above {2.0 * safety / max(bound.term_frequency, 1e-300):.3g} s",
            where="mass scaling",
            advice="Use a shorter step or softer springs",
        )
    factors = tuple(np.maximum(1.0, frequency**2 / room) for frequency in bound.element_frequencies)
    scaled = [mass * factor[:, None] for mass, factor in zip(masses, factors, strict=True)]
    before = sum(float(mass.sum()) for mass in masses)
    added = sum(float(mass.sum()) for mass in scaled) - before
    touched = [np.asarray(block.source)[factor > 1.0] for block, factor in zip(model.blocks, factors, strict=True)]
    largest = max(float(factor.max()) for factor in factors)
    return scaled, MassScaling(factors, np.sort(np.concatenate(touched)), added, added / before, largest)


def no_scaling(model: Model) -> MassScaling:
    """Nothing added."""
    factors = tuple(np.ones(len(block.nodes)) for block in model.blocks)
    return MassScaling(factors, np.zeros(0, np.int64), 0.0, 0.0, 1.0)
