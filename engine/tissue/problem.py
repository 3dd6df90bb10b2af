"""`Problem`: a model with its loads, supports and prescribed motion. Every float array in it can be differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ...imaging.errors import SolverError
from .loads.facet import Pressure
from .model import Model
from .terms import Constraint, MovingTerm, Term


def require_problem(problem: object, where: str) -> None:
    """Raise where something else than a problem is to be solved.

    Raises:
        SolverError: it is none.
    """
    if not isinstance(problem, Problem):
        told = f"a {type(problem).__name__} is no problem"
        raise SolverError(told, where=where, advice="Make one: model.problem(…)")


class Problem(eqx.Module):
    """What is solved. Make one with `Model.problem`; change a parameter with `equinox.tree_at`.

    Contacts carry multipliers and slip as history (`augmented`, `advanced`). Contact between tissues is a residual only
    at a pairing: `bound_at` finds it, after which every float array can be differentiated at that pairing.
    """

    model: Model
    loads: tuple[Any, ...]
    supports: tuple[Any, ...]
    prescribed: tuple[Any, ...]
    contacts: tuple[Any, ...] = ()
    pairings: tuple[Any, ...] | None = None
    floating: bool = eqx.field(static=True, default=False, kw_only=True)
    """Whether the body may fly: only its inertia resists rigid motion, which takes a dynamic solver."""

    @classmethod
    def of(
        cls,
        model: Model,
        *,
        loads: Sequence[Any],
        supports: Sequence[Any],
        prescribed: Sequence[Any],
        contacts: Sequence[Any] = (),
        floating: bool = False,
    ) -> Problem:
        """A checked problem.

        Raises:
            SolverError: bad input, named and located; see `checks.check_problem`.
        """
        from .checks import check_problem, check_sources
        from .contact.cross_points import resolved_contacts

        check_sources(model, loads, supports, prescribed, contacts)
        problem = cls(model, tuple(loads), tuple(supports), tuple(prescribed), floating=floating)
        if contacts:
            problem = replace(problem, contacts=resolved_contacts(model, contacts, problem.held()))
        check_problem(problem)
        return problem

    def constraints(self) -> list[Constraint]:
        """Everything that prescribes displacements, in order."""
        bound = [part for source in (*self.supports, *self.prescribed) for part in source.bind(self.model)]
        return [part for part in bound if isinstance(part, Constraint)]

    def terms(self) -> list[Term]:
        """Everything that exerts forces.

        Raises:
            SolverError: there is contact between tissues and no pairing of it (`bound_at`).
        """
        moving = self.moving()
        if moving and self.pairings is None:
            raise SolverError(
                "contact between tissues has no forces before its pairs are found",
                where="problem",
                advice="Use problem.bound_at(displacement, fraction)",
            )
        pairings = self.pairings or ()
        return [*self.fixed_terms(), *(term.paired(pairs) for term, pairs in zip(moving, pairings, strict=True))]

    def moving(self) -> list[MovingTerm]:
        """Contacts whose pairs are found anew as the body moves."""
        bound = [part for source in self.contacts for part in source.bind(self.model)]
        return [part for part in bound if isinstance(part, MovingTerm)]

    def bound_at(self, displacement: Array | np.ndarray, fraction: float = 1.0) -> Problem:
        """This problem at the pairs that meet at a displacement (rows, 3) [m]: what gradients differentiate."""
        moved = np.asarray(displacement)
        pairings = tuple(term.pairs(moved, float(fraction)) for term in self.moving())
        return replace(self, pairings=pairings)

    def fixed_terms(self) -> list[Term]:
        """Everything that exerts forces but contact between tissues."""
        held = np.asarray(self.held().all(axis=1))
        found: list[Term] = []
        for source in (*self.loads, *self.supports, *self.prescribed, *self.contacts):
            bound = source.bind(self.model, held) if isinstance(source, Pressure) else source.bind(self.model)
            found += [part for part in bound if isinstance(part, Term)]
        return found

    def begun(self) -> Problem:
        """With the history of contacts as it is before anything has moved."""
        return replace(self, contacts=tuple(contact.begun(self.model) for contact in self.contacts))

    def augmented(self, displacement: np.ndarray, fraction: float) -> tuple[Problem, bool]:
        """With multipliers moved on (one Uzawa step) at an equilibrium; False where none was too far off."""
        found = [contact.augmented(self.model, displacement, fraction) for contact in self.contacts]
        if not any(moved for _, moved in found):
            return self, False
        return replace(self, contacts=tuple(contact for contact, _ in found)), True

    def advanced(self, displacement: np.ndarray, fraction: float) -> Problem:
        """With the slip history of contacts moved on after a converged load step."""
        contacts = tuple(contact.advanced(self.model, displacement, fraction) for contact in self.contacts)
        return replace(self, contacts=contacts)

    def held(self) -> Bool[np.ndarray, "nodes 3"]:
        """Which displacement components are prescribed."""
        mask = np.zeros(self.model.row_points.shape, bool)
        mask[self.model.nodes :, 1:] = True  # a pressure is one number
        for constraint in self.constraints():
            mask[constraint.nodes] |= np.array(constraint.components)
        return mask

    def prescribed_displacement(
        self, fraction: Array | float, constraints: list[Constraint] | None = None
    ) -> Float[Array, "nodes 3"]:
        """Prescribed components [m] at a load fraction; zero where nothing is prescribed."""
        points = self.model.points
        values = jnp.zeros_like(self.model.row_points)
        for constraint in self.constraints() if constraints is None else constraints:
            chosen = np.flatnonzero(constraint.components)
            moved = constraint.values(points, fraction)
            values = values.at[constraint.nodes[:, None], chosen].set(moved[:, chosen])
        return values
