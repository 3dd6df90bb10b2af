"""What a problem remembers, apart from its parameters: history of materials, slip of contacts; and its next value.

Multipliers of contacts and ties are kept with it, though they do not depend on the past: each step finds its own.

A history is a problem-shaped tree: arrays where a converged step moves something on, None elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..contact.tissue import TissueContact
from ..history import advanced, changed
from ..materials import Material
from ..problem import Problem
from ..solution import State

History = Any


class Remembered:
    """Which arrays of a problem (begun) are history."""

    def __init__(self, problem: Problem) -> None:
        nothing = jax.tree.map(lambda leaf: False, problem)
        materials = [changed(block.material) for block in problem.model.blocks]
        self.mask = eqx.tree_at(
            lambda p: [block.material for block in p.model.blocks],
            nothing,
            materials,
            is_leaf=lambda part: isinstance(part, Material),
        )
        for index, contact in enumerate(problem.contacts):
            if getattr(contact, "frictional", False):
                slip = eqx.tree_at(type(contact).slip, self.mask.contacts[index], replace_fn=lambda _: True)
                self.mask = eqx.tree_at(lambda p, k=index: p.contacts[k], self.mask, slip)
        self.held = nothing
        for index, contact in enumerate(problem.contacts):
            if contact.multipliers():
                kept = eqx.tree_at(type(contact).multipliers, nothing.contacts[index], replace_fn=lambda _: True)
                self.held = eqx.tree_at(lambda p, k=index: p.contacts[k], self.held, kept)
        self.mask = jax.tree.map(lambda a, b: a or b, self.mask, self.held)
        self.augments = any(jax.tree.leaves(self.held))

    def of(self, problem: Problem) -> History:
        """The history of a problem."""
        return eqx.filter(replace(problem, pairings=None), self.mask)

    def put(self, problem: Problem, history: History) -> Problem:
        """The problem with a history."""
        return eqx.combine(history, problem)

    def with_multipliers(self, problem: Problem, history: History) -> Problem:
        """The problem with the multipliers of a history, and nothing else of it."""
        return eqx.combine(eqx.filter(history, self.held), problem)

    def without_multipliers(self, history: History) -> History:
        """A cotangent of the history with zeros for multipliers, of which each step finds its own."""
        return jax.tree.map(
            lambda keep, leaf: jnp.zeros_like(leaf) if keep and leaf is not None else leaf, self.held, history
        )

    def taken(self, slope: Any) -> tuple[History, Any]:
        """A cotangent of all float arrays, in two: of the history, and of the parameters with zeros for it."""
        history = jax.tree.map(lambda keep, leaf: leaf if keep else None, self.mask, slope)
        rest = jax.tree.map(
            lambda keep, leaf: jnp.zeros_like(leaf) if keep and leaf is not None else leaf, self.mask, slope
        )
        return history, rest


def moved_on(problem: Problem, rows: Array, fraction: Any) -> Problem:
    """The problem (bound at `rows`, (rows, 3) m and Pa) with its history after a step that converged there: pure."""
    contacts, pairings = [], list(problem.pairings or ())
    for contact in problem.contacts:
        looks = [pairings.pop(0) for _ in contact.bind(problem.model)] if isinstance(contact, TissueContact) else ()
        move = getattr(contact, "moved_on", None)
        contacts.append(contact if move is None else move(problem.model, rows, fraction, looks))
    state = State.of_rows(fraction, rows, problem.model.nodes)
    return advanced(eqx.tree_at(lambda p: p.contacts, problem, tuple(contacts)), state)


def begun(problem: Problem, rest: Problem) -> Problem:
    """The problem with the history of a body at rest, pure; `rest` is the same bound there, without a history."""
    still, contacts, pairings = jnp.zeros_like(problem.model.row_points), [], list(rest.pairings or ())
    for contact in problem.contacts:
        if isinstance(contact, TissueContact):
            looks = [pairings.pop(0) for _ in contact.bind(problem.model)]
            moved = contact.moved_on(problem.model, still, 0.0, looks)
            contacts.append(moved if contact.frictional else contact.begun(problem.model))
        else:
            contacts.append(contact.begun(problem.model))
    return eqx.tree_at(lambda p: p.contacts, problem, tuple(contacts))
