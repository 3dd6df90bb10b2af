"""Forces given node by node: what an unknown load is made of when it is fitted."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ....imaging.errors import SolverError
from .. import given
from ..model import Model
from ..terms import Schedule, Term, schedule


class NodalForces(eqx.Module):
    """Dead forces on the nodes of a set.

    | symbol | meaning | unit |
    |---|---|---|
    | `nodes` | a node set, facet set or region | – |
    | f `forces` | (n, 3), in the order of the set, LPS axes; or (3,) for each node the same | N |
    """

    nodes: str = eqx.field(static=True)
    forces: Float[Array, "n 3"]
    when: Schedule

    def __init__(
        self, nodes: str, forces: Float[Array, "n 3"] | Sequence[float], *, during: Sequence[float] = (0.0, 1.0)
    ) -> None:
        where = f"nodal forces on {nodes!r}"
        self.nodes, self.when = nodes, schedule(during, where)
        self.forces = given.array(forces, "a force", where, (3,), (None, 3), advice="Give x, y, z in N")

    def bind(self, model: Model) -> list[Term]:
        """One term."""
        nodes = np.asarray(model.nodes_of(self.nodes))
        if self.forces.shape not in ((3,), (len(nodes), 3)):
            raise SolverError(
                f"forces of shape {self.forces.shape} for {len(nodes)} nodes", where=f"nodal forces on {self.nodes!r}"
            )
        return [NodalForceTerm(jnp.asarray(nodes)[:, None], jnp.broadcast_to(self.forces, (len(nodes), 3)), self.when)]


class NodalForceTerm(Term):
    """A dead force on one node."""

    nodes: Int[Array, "groups 1"]
    vector: Float[Array, "groups 3"]
    when: Schedule

    @property
    def dead(self) -> bool:
        """Always."""
        return True

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """The force [N] at a load fraction."""
        return self.when(fraction) * self.vector[None]
