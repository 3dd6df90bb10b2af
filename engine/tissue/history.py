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
from typing import Any, TypeVar

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

Kept = TypeVar("Kept", bound=State)

FOREVER = 1e15
"""s: long against any relaxation time; a step of it leaves a Prony series nothing but its relaxed law."""


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

    def kept(self, problem: Problem, state: Kept) -> Kept:
        """The state with the history of a problem that has been moved on to it."""
        return replace(state, materials=self.materials(problem), contacts=problem.contacts)

    def materials(self, problem: Problem) -> tuple[Material, ...]:
        """Of each block; none where nothing is remembered."""
        return materials_of(problem) if self.active else ()

    def resumed(self, problem: Problem, state: State) -> Problem:
        """The problem with the history of a state, as far as it carries one."""
        problem = with_materials(problem, state.materials) if self.active and state.materials else problem
        return with_slip(problem, state) if state.contacts else problem


def remembered(problem: Problem, state: State) -> Problem:
    """The problem, its parameters kept, with the history that a state carries: what forces of the state are taken of.

    Raises:
        SolverError: materials or contacts remember, and the state carries no history, or one of others.
    """
    problem = eqx.tree_at(lambda p: p.model, problem, remembered_model(problem.model, state))
    if state.contacts:
        return with_slip(problem, state)
    for contact in problem.contacts:
        if _kept_of(contact) < _kept_of(contact.begun(problem.model)):
            raise SolverError(
                f"the {contact.label} remembers, and the state carries no history of it",
                where="state",
                advice="Take the state as a solve gave it, or the problem that goes with it (`Solution.problems`)",
            )
    return problem


def remembered_model(model: Model, state: State) -> Model:
    """The model with the history of its materials that a state carries, their parameters kept.

    Raises:
        SolverError: materials remember, and the state carries no history, or one of others.
    """
    if not remembers(model):
        return model
    if not state.materials:
        block = next(block for block in model.blocks if _remembers(block.material))
        raise SolverError(
            "the material remembers, and the state carries no history of it",
            where=f"region {model.region_name(int(block.region[0]))!r}",
            advice="Take the state as a solve gave it (`State.materials`)",
        )
    _check_materials(model, state.materials)
    kept = [
        eqx.combine(eqx.filter(past, changed(block.material)), block.material)
        for past, block in zip(state.materials, model.blocks, strict=True)
    ]
    return _with_laws(model, kept)


def _kept_of(contact: Any) -> int:
    """How many arrays a contact has for its history: none before it has begun."""
    slip = contact.slip() if getattr(contact, "frictional", False) else []
    return len(contact.multipliers()) + sum(part is not None for part in slip)


def with_slip(problem: Problem, state: State) -> Problem:
    """The problem with the multipliers and the slip that a state carries.

    Raises:
        SolverError: it has other contacts.
    """
    problem, contacts = problem.begun(), []
    same = [type(contact) for contact in problem.contacts] == [type(contact) for contact in state.contacts]
    if not same or any(a.label != b.label for a, b in zip(problem.contacts, state.contacts, strict=True)):
        raise SolverError("the history is of other contacts", where="state", advice="Take a state of this problem")
    for contact, past in zip(problem.contacts, state.contacts, strict=True):
        found = contact.with_multipliers(past.multipliers())
        if getattr(found, "frictional", False):
            found = eqx.tree_at(type(found).slip, found, past.slip())
        contacts.append(found)
    return replace(problem, contacts=tuple(contacts), pairings=None)


def remembers(model: Model) -> bool:
    """Whether a material of the model has a history.

    Raises:
        SolverError: one of a sheet or strand that goes slack has: what is remembered would push there.
    """
    found = [block for block in model.blocks if _remembers(block.material)]
    for block in found:
        section: Any = getattr(block.material, "sheet", block.material)
        slack = next((name for name in ("wrinkles", "cable") if getattr(section, name, False)), None)
        if slack:
            raise SolverError(
                f"a {block.element.name} with {slack}=True cannot follow the history of its material",
                where=f"region {model.region_name(int(block.region[0]))!r}",
                advice=f"Leave {slack}=True out, or give it an elastic material",
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


def materials_of(problem: Problem) -> tuple[Material, ...]:
    """Of each block."""
    return tuple(block.material for block in problem.model.blocks)


def with_materials(problem: Problem, materials: tuple[Material, ...]) -> Problem:
    """The problem with other materials, one for each block.

    Raises:
        SolverError: they are of another model.
    """
    _check_materials(problem.model, materials)
    return eqx.tree_at(lambda p: p.model, problem, _with_laws(problem.model, list(materials)))


def _check_materials(model: Model, materials: tuple[Material, ...]) -> None:
    blocks = model.blocks
    same = len(materials) == len(blocks) and all(
        jax.tree.structure(new) == jax.tree.structure(block.material)
        and all(np.shape(a) == np.shape(b) for a, b in zip(*map(jax.tree.leaves, (new, block.material)), strict=True))
        for new, block in zip(materials, blocks, strict=False)
    )
    if not same:
        raise SolverError("the history is of other materials", where="start", advice="Start from a state of this model")


def _with_laws(model: Model, materials: list[Material]) -> Model:
    return eqx.tree_at(
        lambda m: [block.material for block in m.blocks],
        model,
        materials,
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
    gradient = element.material_gradient(reference, displacement, now)
    seen = batch_last(now)
    after = seen.advanced(from_array(gradient))
    stored, before, new = (jax.tree.leaves(tree) for tree in (material, seen, after))
    kept = [old if same is now else jnp.transpose(now) for old, same, now in zip(stored, before, new, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(material), kept)
