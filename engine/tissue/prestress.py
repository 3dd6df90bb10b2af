"""Prestress: the scanned shape as it is, under the stress that balances its loads.

    found = prestressed(problem)       # the same shape; `found.problem` stays where it is under its loads

The strain that each point has in the scan is stored and made up as the loads ask: A ← F(u) A, u the equilibrium of the
body whose energy is W(F A)/det A, until u vanishes. Fibres f seen in the scan are A⁻¹ f where nothing is strained.
After Gee, Förster and Wall (2010), *Int. J. Numer. Meth. Biomed. Eng.* 26:52 (modified updated Lagrangian
formulation).
"""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, part, silent
from . import given
from .carried import turned
from .history import FOREVER
from .materials import Material, ResidualStrain
from .model import MM
from .problem import Problem
from .solution import State
from .static import require_held, solve

MAX_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class Prestressed:
    """A body under stress in its own shape.

    Attributes:
        problem: the body with its stored strain, loads and supports.
        state: its equilibrium under full load.
        miss: largest distance [m] that the loads still move it.
        rounds: solves it took.
    """

    problem: Problem
    state: State
    miss: float
    rounds: int


def prestressed(
    problem: Problem,
    *,
    accuracy: float = 1e-5,
    tolerance: float = 1e-8,
    load_steps: int = 1,
    relaxed: bool = True,
    progress: Progress = silent,
) -> Prestressed:
    """The problem with the strain stored that makes its loads move it nowhere.

    Args:
        problem: loads and supports on the scanned shape; solids of elements without unknown pressures.
        accuracy: m; what the loads may still move it.
        tolerance: of the solves.
        load_steps: of each solve.
        relaxed: whether the body has been under its load for long, so that its Prony series have relaxed; otherwise it
            answers as it does at once, or to the seconds that `history.stepped` gave it.

    Raises:
        SolverError: sheets, strands or mixed elements; a solve fails; the strain does not settle.
    """
    require_held(problem, "prestressed")
    given.number(accuracy, "an accuracy", "prestressed", above=0.0, advice="Give m")
    blocks = problem.model.blocks
    if any(block.element.dimension < 3 or block.element.pressures for block in blocks):
        raise SolverError(
            "prestress is stored in solids without unknown pressures",
            where="prestressed",
            advice="Use `unloaded_shape`, or other elements",
        )
    strain = [
        jnp.broadcast_to(jnp.eye(3), (len(block.nodes), len(block.element.quadrature.weights), 3, 3))
        for block in blocks
    ]
    duration, miss = (FOREVER if relaxed else None), np.inf
    for rounds in range(1, MAX_ROUNDS + 1):
        told = part(progress, (rounds - 1) / MAX_ROUNDS, rounds / MAX_ROUNDS)
        at = _with_strain(problem, strain)
        state = solve(
            at, tolerance=tolerance, load_steps=load_steps, duration=duration, check_stability=False, progress=told
        ).final
        miss = float(np.linalg.norm(np.asarray(state.displacement), axis=1).max())
        if miss <= accuracy:
            return Prestressed(at, state, miss, rounds)
        strain = [_moved(at, k, state) @ before for k, before in enumerate(strain)]
    raise SolverError(
        f"the prestress does not settle ({miss / MM:.3g} mm off after {MAX_ROUNDS} rounds)",
        where="prestressed",
        advice="Stiffen the supports: what moves as a whole cannot be held by strain",
    )


def _with_strain(problem: Problem, strain: list[Array]) -> Problem:
    def wrapped(material: Material, elastic: Array) -> Material:
        free = turned(material, jnp.linalg.inv(elastic))
        return ResidualStrain(free, elastic, jnp.ones(len(elastic)), during=(0.0, 0.0))

    laws = [wrapped(block.material, a) for block, a in zip(problem.model.blocks, strain, strict=True)]
    return eqx.tree_at(
        lambda p: [block.material for block in p.model.blocks],
        problem,
        laws,
        is_leaf=lambda leaf: isinstance(leaf, Material),
    )


def _moved(problem: Problem, index: int, state: State) -> Array:
    """F (E, Q, 3, 3) of one block at a state."""
    block, points = problem.model.blocks[index], problem.model.row_points
    rows = jnp.asarray(state.rows)
    gradient = block.element.kinematics(points[block.nodes], rows[block.nodes]).deformation_gradient
    return jnp.transpose(gradient, (3, 2, 0, 1))
