"""Forces of any given displacement, without a solve: residual, internal and external nodal forces, sums over sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...imaging.errors import SolverError
from . import given
from .history import remembered
from .model import Model
from .places import element_place, node_place
from .problem import Problem, require_problem
from .solution import State
from .system import Timer


class Resultant(NamedTuple):
    """Sum of nodal forces: force (3,) N and moment (3,) N m about a point."""

    force: Float[np.ndarray, "3"]
    moment: Float[np.ndarray, "3"]


@dataclass(frozen=True)
class NodalForces:
    """At one displacement and load fraction.

    Attributes:
        model: the body.
        displacement: (rows, 3) m.
        internal: ∫ P ∂N/∂X dV, what the deformed material puts up [N].
        external: of all loads, beds, grips and ligaments [N].
        held: 1 where a component is prescribed.
        energy: strain energy [J].
    """

    model: Model
    displacement: Float[np.ndarray, "rows 3"]
    internal: Float[np.ndarray, "rows 3"]
    external: Float[np.ndarray, "rows 3"]
    held: Float[np.ndarray, "rows 3"]
    energy: float

    @property
    def residual(self) -> Float[np.ndarray, "rows 3"]:
        """Internal minus external [N]; zero where free at equilibrium, the reaction where held."""
        return self.internal - self.external

    @property
    def unbalanced(self) -> Float[np.ndarray, "rows 3"]:
        """Residual of the free components [N]."""
        return self.residual * (1.0 - self.held)

    @property
    def reaction(self) -> Float[np.ndarray, "rows 3"]:
        """What holds the prescribed components [N]."""
        return self.residual * self.held

    def sum(self, kind: str, name: str | None = None, *, about: Sequence[float] = (0.0, 0.0, 0.0)) -> Resultant:
        """Force and moment of one kind over a set or region.

        Args:
            kind: "internal", "external", "residual", "reaction" or "unbalanced".
            name: a node set, facet set or region; None is the whole body.
            about: the point that moments are about, LPS m; arms go to the deformed positions.

        Raises:
            SolverError: no such kind or set, or a point that is none.
        """
        kinds = ("internal", "external", "residual", "reaction", "unbalanced")
        if kind not in kinds:
            raise SolverError(f"no forces are named {kind!r}", where="forces", advice=f"Choose from {kinds}")
        centre = np.asarray(given.array(about, "a point for moments", "forces", (3,), advice="Give x, y, z in m"))
        rows = slice(None) if name is None else self.model.nodes_of(name)
        force = getattr(self, kind)[rows]
        arms = (np.asarray(self.model.points) + self.displacement)[rows] - centre
        return Resultant(force.sum(axis=0), np.cross(arms, force).sum(axis=0))


def nodal_forces(
    problem: Problem, displacement: Float[np.ndarray, "rows 3"] | State, load_fraction: float | None = None
) -> NodalForces:
    """Forces of a displacement [m], or of a state at its own load fraction.

    Args:
        problem: model and loads.
        displacement: any field over `Model.points`, in equilibrium or not, which meets the history that the problem
            has; or a state, which brings its own.
        load_fraction: 1 by default.

    Raises:
        SolverError: a shape that does not fit, a value that is not finite, an element turned inside out, or a state
            without the history that materials or contacts remember.
    """
    from .host_system import HostSystem

    require_problem(problem, "forces")
    if load_fraction is not None:
        load_fraction = given.number(load_fraction, "a load fraction", "forces")
    if isinstance(displacement, State):
        problem = remembered(problem, displacement)
    else:
        field = jnp.asarray(checked_field(problem.model, displacement, "displacement"))
        displacement = State(1.0 if load_fraction is None else load_fraction, field)
    fraction = float(displacement.load_fraction if load_fraction is None else load_fraction)
    system, nodes = HostSystem(problem, Timer()), problem.model.nodes
    if displacement.rows.shape != system.points.shape:
        raise SolverError("mixed elements need pressures too", where="displacement", advice="Give a State with them")
    moved = checked_field(problem.model, displacement.displacement, "displacement")
    now = system.evaluate(system.field_of(displacement), fraction)
    if not now.min_jacobian > 0:
        raise SolverError(
            f"{element_place(problem.model, now.worst_element)} is turned inside out (det F = {now.min_jacobian:.3g})",
            where="displacement",
            advice="Give displacements in m, not mm, and of this mesh",
        )
    held = 1.0 - system.free[:nodes]
    return NodalForces(problem.model, moved, now.internal[:nodes], now.external[:nodes], held, now.energy)


def checked_field(model: Model, field: object, what: str) -> Float[np.ndarray, "rows 3"]:
    """A nodal field as an array.

    Raises:
        SolverError: the shape does not fit or a value is not finite; names the node.
    """
    if not isinstance(field, (np.ndarray, jax.Array, list, tuple)):
        raise SolverError(
            f"{type(field).__name__} is no nodal field", where=what, advice="Give an array (nodes, 3) in m"
        )
    try:
        values = np.asarray(field)
    except ValueError as error:
        told = "rows of unequal length are no nodal field"
        raise SolverError(told, where=what, advice="Give (nodes, 3) in m") from error
    if values.dtype.kind not in "fiub":
        raise SolverError(f"a nodal field of {values.dtype} is not real", where=what, advice="Give (nodes, 3) in m")
    values = values.astype(float)
    if values.shape != model.points.shape:
        advice = "Mid-edge nodes of T10 follow the nodes of the mesh; `Model.points` has one row for each"
        raise SolverError(f"shape {values.shape} does not fit {model.points.shape}", where=what, advice=advice)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise SolverError(f"{node_place(model, int(bad[0]))} is not finite, and {bad.size - 1} more", where=what)
    return values
