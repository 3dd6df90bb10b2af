"""Materials that remember: a step of known length, and their history moved on once it has converged.

for seconds in (0.0, 0.1, 0.1, 0.2):
    problem = stepped(problem, seconds)
    state = solve(problem, start=state).final
    problem = advanced(problem, state)

`static.solve(duration=...)` and `dynamic.solve` do this themselves (`Past`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...imaging.errors import SolverError
from . import given
from .block import ElementBlock
from .elements.base import Element
from .materials import Material, batch_last
from .model import Model
from .problem import Problem
from .solution import State
from .system import System
from .tensors import from_array


class Past:
    """History on a march through load fractions or time: nothing where no material has one.

    Without a duration, the step is as long as the problem says (`stepped`); it passes in the first load step.
    """

    def __init__(self, model: Model, duration: float | None) -> None:
        self.active, self.duration = remembers(model), duration

    def stepped(self, problem: Problem, share: float) -> Problem:
        """The problem with the seconds of a step known, from the load fraction that it covers."""
        if not self.active or self.duration is None:
            return problem
        return stepped(problem, share * self.duration)

    def advance(self, system: System, field: Any, fraction: float) -> None:
        """Move the history of a system on to a converged field of unknowns."""
        if self.active:
            system.use(advanced(system.problem, system.state_of(fraction, field)))

    def kept(self, system: System, fraction: float, field: Any) -> State:
        """The state of a field, with the history that goes on from it."""
        state = system.state_of(fraction, field)
        return replace(state, materials=self.materials(system.problem))

    def materials(self, problem: Problem) -> tuple[Material, ...]:
        """Of each block; none where nothing is remembered."""
        return tuple(block.material for block in problem.model.blocks) if self.active else ()

    def resumed(self, problem: Problem, state: State) -> Problem:
        """The problem with the history of a state."""
        return with_materials(problem, state.materials) if self.active and state.materials else problem


def remembers(model: Model) -> bool:
    """Whether a material of the model has a history.

    Raises:
        SolverError: one of a sheet or strand has, which is not followed there.
    """
    found = [block for block in model.blocks if _remembers(block.material)]
    for block in found:
        if block.element.dimension < 3:
            raise SolverError(
                f"a {block.element.name} cannot follow the history of its material",
                where=f"region {model.region_name(int(block.region[0]))!r}",
                advice="Give sheets and strands an elastic material",
            )
    return bool(found)


def _remembers(material: Material) -> bool:
    return any(jax.tree.leaves(changed(material)))


def changed(material: Material) -> Any:
    """A tree like the material: which of its arrays `advanced` moves on, at a stretch that no history has seen."""
    one = batch_last(jax.tree.map(lambda leaf: leaf[:1], material))
    stretch = jnp.broadcast_to(jnp.diag(jnp.asarray([1.3, 0.9, 0.9]))[:, :, None, None], (3, 3, 1, 1))
    return jax.tree.map(lambda old, new: old is not new, one, one.advanced(from_array(stretch)))


def stepped(problem: Problem, seconds: Any) -> Problem:
    """The problem with the length of the step that comes known to its materials.

    Raises:
        SolverError: seconds that are negative or not finite.
    """
    length = given.array(seconds, "a step", "stepped", ())
    given.at_least(length, 0.0, "a step", "s", "stepped", "Give seconds")
    return with_materials(problem, tuple(block.material.stepped(seconds) for block in problem.model.blocks))


def advanced(problem: Problem, state: State) -> Problem:
    """The problem with the history of its materials moved on to a converged state; no time is left in the step."""
    model, field = problem.model, jnp.asarray(state.rows)
    moved = tuple(
        _advanced(model, block, field, state.load_fraction) if _remembers(block.material) else block.material
        for block in model.blocks
    )
    return with_materials(problem, moved)


def with_materials(problem: Problem, materials: tuple[Material, ...]) -> Problem:
    """The problem with other materials, one for each block.

    Raises:
        SolverError: they are of another model.
    """
    blocks = problem.model.blocks
    same = len(materials) == len(blocks) and all(
        jax.tree.structure(new) == jax.tree.structure(block.material)
        for new, block in zip(materials, blocks, strict=False)
    )
    if not same:
        raise SolverError("the history is of other materials", where="start", advice="Start from a state of this model")
    return eqx.tree_at(
        lambda p: [block.material for block in p.model.blocks],
        problem,
        list(materials),
        is_leaf=lambda part: isinstance(part, Material),
    )


def _advanced(model: Model, block: ElementBlock, rows: Any, fraction: Any) -> Material:
    size, count, points = block.element.chunk, len(block.nodes), model.row_points
    nodes, pieces = np.asarray(block.nodes), []
    for start in range(0, count, size):
        chosen = np.minimum(np.arange(start, start + size), count - 1)
        material = jax.tree.map(lambda leaf, c=chosen: leaf[c], block.material)
        piece = move_on(block.element, points[nodes[chosen]], rows[nodes[chosen]], material, jnp.asarray(fraction))
        pieces.append(jax.tree.map(lambda leaf, n=count - start: leaf[:n], piece))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *pieces)


@partial(jax.jit, static_argnums=0)
def move_on(element: Element, reference: Any, displacement: Any, material: Material, fraction: Any) -> Material:
    """`Material.advanced` at the points of the strain energy; parameters that are no history stay as stored."""
    now = material.at(fraction)
    gradient = element.point_fields(reference, displacement, now).deformation_gradient
    seen = batch_last(now)
    after = seen.advanced(from_array(gradient))
    stored, before, new = (jax.tree.leaves(tree) for tree in (material, seen, after))
    kept = [old if same is now else jnp.transpose(now) for old, same, now in zip(stored, before, new, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(material), kept)
