"""Materials of solids that remember: a step of known length, and their history moved on once it has converged.

for seconds in (0.0, 0.1, 0.1, 0.2):
    problem = stepped(problem, seconds)
    state = solve(problem, start=state).final
    problem = advanced(problem, state)
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .elements.base import Element
from .materials import Material, batch_last
from .model import ElementBlock
from .problem import Problem
from .solution import State
from .tensors import from_array


def stepped(problem: Problem, seconds: Array | float) -> Problem:
    """The problem of a time step of this length: what relaxes has so long to relax."""
    blocks = (
        replace(block, material=block.material.stepped(seconds)) if isinstance(block.material, Material) else block
        for block in problem.model.blocks
    )
    return _with_blocks(problem, tuple(blocks))


def advanced(problem: Problem, state: State) -> Problem:
    """With the history of every material moved on to a converged state; no time is left in the step."""
    rows = jnp.asarray(state.rows)
    blocks = tuple(_advanced_block(block, problem, rows, state.load_fraction) for block in problem.model.blocks)
    return _with_blocks(problem, blocks)


def _advanced_block(block: ElementBlock, problem: Problem, rows: Array, fraction: Array | float) -> ElementBlock:
    if not isinstance(block.material, Material) or type(block.material).advanced is Material.advanced:
        return block
    reference = problem.model.row_points[block.nodes]
    moved = _advance(block.element, reference, rows[block.nodes], block.material.at(fraction))
    return replace(block, material=moved)


@partial(jax.jit, static_argnums=0)
def _advance(element: Element, reference: Array, displacement: Array, material: Material) -> Material:
    gradient = element.point_fields(reference, displacement, material).deformation_gradient
    return batch_last(batch_last(material).advanced(from_array(gradient)))


def _with_blocks(problem: Problem, blocks: tuple[ElementBlock, ...]) -> Problem:
    return replace(problem, model=replace(problem.model, blocks=blocks))
