"""`Problem`: a model with its loads, supports and prescribed motion. Every float array in it can be differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .loads.facet import Pressure
from .model import Model
from .terms import Constraint, Term


class Problem(eqx.Module):
    """What is solved. Make one with `Model.problem`; change a parameter with `equinox.tree_at`."""

    model: Model
    loads: tuple[Any, ...]
    supports: tuple[Any, ...]
    prescribed: tuple[Any, ...]

    @classmethod
    def of(cls, model: Model, *, loads: Sequence[Any], supports: Sequence[Any], prescribed: Sequence[Any]) -> Problem:
        """A checked problem.

        Raises:
            SolverError: bad input, named and located; see `checks.check_problem`.
        """
        from .checks import check_problem

        problem = cls(model, tuple(loads), tuple(supports), tuple(prescribed))
        check_problem(problem)
        return problem

    def constraints(self) -> list[Constraint]:
        """Everything that prescribes displacements, in order."""
        bound = [part for source in (*self.supports, *self.prescribed) for part in source.bind(self.model)]
        return [part for part in bound if isinstance(part, Constraint)]

    def terms(self) -> list[Term]:
        """Everything that exerts forces."""
        held = np.asarray(self.held().all(axis=1))
        found: list[Term] = []
        for source in (*self.loads, *self.supports, *self.prescribed):
            bound = source.bind(self.model, held) if isinstance(source, Pressure) else source.bind(self.model)
            found += [part for part in bound if isinstance(part, Term)]
        return found

    def held(self) -> Bool[np.ndarray, "nodes 3"]:
        """Which displacement components are prescribed."""
        mask = np.zeros(self.model.row_points.shape, bool)
        mask[self.model.nodes :, 1:] = True  # a pressure is one number
        for constraint in self.constraints():
            mask[constraint.nodes] |= np.array(constraint.components)
        return mask

    def prescribed_displacement(self, fraction: Array | float) -> Float[Array, "nodes 3"]:
        """Prescribed components [m] at a load fraction; zero where nothing is prescribed."""
        points = self.model.points
        values = jnp.zeros_like(self.model.row_points)
        for constraint in self.constraints():
            chosen = np.flatnonzero(constraint.components)
            moved = constraint.values(points, fraction)
            values = values.at[constraint.nodes[:, None], chosen].set(moved[:, chosen])
        return values
