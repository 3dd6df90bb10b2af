"""Meshes that do not match, tied along a surface."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from .. import given
from ..model import Model
from ..terms import Term
from .penalty import default_penalty, surface_sizes
from .rigid import check_numbers, replace_fields
from .tie_table import TieTable, tie_table

TIE_SHARE = 5.0
"""Penalty over that of a contact: the jump shrinks by about seven per Uzawa step."""
LINEAR_SHARE = 0.5
"""The same where multipliers close the jump of facets without nodes on their edges: more holds every point of one
surface to the other, which such facets cannot follow: a cantilever of two tied layers then hangs by a tenth less.
Those of six nodes can, and their many multipliers would settle too slowly."""
DEFAULT_JUMP = 1e-6
"""Largest mean jump left at a node, over the size of a facet."""


UNCOVERED = ("refuse", "free")
"""What may be done with parts that have nothing opposite."""


class Tie(eqx.Module):
    """Two facet sets that move together, as if their meshes matched: ∫ N_a (u − u') dA = 0 at every node of the first.

    Facets may be of any kind and of several in one set: triangles of three or six nodes, quadrangles, those of sheets.
    The overlap of the two meshes is cut exactly in the reference configuration. On it acts a traction
    t = λ + ε (u − u'), λ = Σ N_a λ_a with nodal multipliers that are moved on (Uzawa) by ε times the mean jump around
    each node until that is below `jump`. Only these mean jumps are driven to zero: forcing every point would stiffen
    the surface (the multiplier would not satisfy the inf-sup condition), while a constant traction is carried exactly.

    | symbol | meaning | unit |
    |---|---|---|
    | `facets` | the set that carries λ: the finer one | – |
    | `other` | the set it is tied to, its normals opposite | – |
    | ε `penalty` | traction per jump; None takes 10 or 100 (`_stiff`) times the softer side's stiffness | Pa/m |
    | `jump` | mean jump allowed at a node; None takes 1e-6 of a facet's size; 0 is the penalty method | m |
    | `reach` | how far apart the surfaces may lie at rest; None takes a fifth of a facet | m |
    | `uncovered` | parts of `facets` with nothing opposite: `"refuse"` tells them, `"free"` leaves them untied | – |

    The segments are cut once: a derivative by node positions leaves them as they are, exact where the surfaces move as
    one, no shape derivative where nodes move within the tied surface. A gap at rest is kept, not closed: the solid
    behind the second surface carries it, so that it turns with the body. Where there is none (a sheet) u' is that of
    the nearest place, and a gap keeps its direction.
    Ties may meet at edges and corners, whoever leads there (`cross_points`).
    Source: Puso and Laursen (2004) for the segments and the mean jump.
    """

    two_sided: ClassVar[bool] = True
    facets: str = eqx.field(static=True)
    other: str = eqx.field(static=True)
    penalty: Float[Array, ""] | None
    jump: float | None = eqx.field(static=True)
    reach: float | None = eqx.field(static=True)
    uncovered: str = eqx.field(static=True)
    table: TieTable | None = None
    multiplier: Float[Array, " m"] | None = None

    def __init__(
        self,
        facets: str,
        other: str,
        *,
        penalty: float | None = None,
        jump: float | None = None,
        reach: float | None = None,
        uncovered: Literal["refuse", "free"] = "refuse",
    ) -> None:
        self.facets, self.other = facets, other
        if uncovered not in UNCOVERED:
            raise SolverError(
                f"uncovered={uncovered!r} is no choice", where=self.label, advice=f"Give one of {', '.join(UNCOVERED)}"
            )
        self.uncovered = uncovered
        self.jump = None if jump is None else given.number(jump, "a jump", self.label, low=0.0, advice="Give m")
        self.reach = None if reach is None else given.number(reach, "a reach", self.label, above=0.0, advice="Give m")
        self.penalty = check_numbers(self.label, penalty, None, 0.0, None, None)[0]
        self.table = self.multiplier = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"tie of {self.facets!r} to {self.other!r}"

    def resolved(self, model: Model, held: NDArray | None = None, shared: NDArray | None = None) -> Tie:
        """With its segments, and every number that was left open.

        Args:
            held: (nodes, 3) prescribed components.
            shared: (nodes,) those on another tie as well; see `cross_points`.

        Raises:
            SolverError: part of the first surface has nothing opposite.
        """
        held = np.zeros(model.points.shape, bool) if held is None else held
        shared = np.zeros(model.nodes, bool) if shared is None else shared
        sides = [[facets for _, facets in model.facet_groups(name)] for name in (self.facets, self.other)]
        size = float(surface_sizes(model, self.facets).mean())
        reach = self.reach or 0.2 * size
        return replace_fields(
            self,
            penalty=jnp.asarray(self._stiff(model, sides)) if self.penalty is None else self.penalty,
            jump=DEFAULT_JUMP * size if self.jump is None else self.jump,
            table=tie_table(model, (sides[0], sides[1]), held, shared, reach, self.uncovered == "free", self.label),
        )

    def _stiff(self, model: Model, sides: list[list[NDArray]]) -> float:
        """Penalty [Pa/m] by the softer side, ten times higher for facets of six nodes or without multipliers."""
        found = [np.concatenate([default_penalty(model, facets, self.label) for facets in side]) for side in sides]
        linear = all(facets.shape[1] < 6 for facets in sides[0])
        share = LINEAR_SHARE if linear and self.jump != 0 else TIE_SHARE
        return share * min(float(np.median(one)) for one in found)

    def bind(self, model: Model) -> list[Term]:
        """One term over the segments."""
        own = self if self.table is not None else self.resolved(model)
        table: Any = own.table
        traction = jnp.zeros((len(table.slave_nodes), 3)) if own.multiplier is None else table.field(own.multiplier)
        return [
            TieTerm(
                jnp.asarray(table.nodes),
                jnp.asarray(table.gram),
                jnp.broadcast_to(own.penalty, (len(table.nodes),)),  # pyright: ignore[reportArgumentType]
                traction[table.local],
            )
        ]

    def begun(self, model: Model) -> Tie:
        """With multipliers of zero."""
        if self.multiplier is not None:
            return self
        own = self if self.table is not None else self.resolved(model)
        table: Any = own.table
        return replace_fields(own, multiplier=jnp.zeros(sum(space.size for space in table.multipliers)))

    def mean_jumps(self, model: Model, displacement: np.ndarray) -> Float[np.ndarray, "n 3"]:
        """around each node of the first surface [m]: its jump projected on N_a."""
        table: Any = (self if self.table is not None else self.resolved(model)).table
        return table.project(table.jumps(np.asarray(displacement)))

    def multipliers(self) -> list[Any]:
        """What Uzawa's rounds move on: unknown tractions (m,) [Pa], component by component, of nodes that are neither
        held nor shared (`TieTable.field` gives all); nothing in the penalty method."""
        return [self.multiplier] if self.jump and self.multiplier is not None else []

    def with_multipliers(self, values: list[Array]) -> Tie:
        """With others."""
        return replace_fields(self, multiplier=values[0]) if values else self

    def augmented(self, model: Model, displacement: np.ndarray, fraction: float) -> tuple[Tie, bool]:
        """λ_a ← λ_a + ε × mean jump, where one is larger than allowed."""
        begun = self.begun(model)
        table: Any = begun.table
        own = table.nearest(table.jumps(np.asarray(displacement)))
        if not self.jump or np.abs(table.field(own)).max(initial=0.0) <= self.jump:
            return self, False
        moved = jnp.asarray(begun.multiplier) + jnp.asarray(begun.penalty) * jnp.asarray(own)
        return replace_fields(begun, multiplier=moved), True

    def renewed(self, model: Model, displacement: Array, fraction: Any) -> tuple[list[Array], Array]:
        """What `augmented` would move λ to [Pa], and whether it need not, as a pure function of every array."""
        table, penalty, known = cast(Any, self.table), cast(Array, self.penalty), cast(Array, self.multiplier)
        moved, half = displacement[table.nodes], table.local.shape[1]
        apart = jnp.concatenate([moved[:, :half], -moved[:, half:]], axis=1)
        share = table.gram[:, :half] @ apart
        right = jnp.zeros((len(table.slave_nodes), 3)).at[table.local.ravel()].add(share.reshape(-1, 3))
        own = table.nearest(right)
        return [known + penalty * own], jnp.all(jnp.abs(table.field(own)) <= cast(float, self.jump))

    def advanced(self, model: Model, displacement: np.ndarray, fraction: float) -> Tie:
        """Itself: multipliers are kept as the first guess of the next step."""
        return self


class TieTerm(Term):
    """Tying traction between two facets; `gram` as in `TieTable`."""

    nodes: Int[Array, "groups m"]
    gram: Float[Array, "groups m m"]
    penalty: Float[Array, " groups"]
    multiplier: Float[Array, "groups half 3"]

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Nodal forces [N]; equal and opposite."""
        half = len(self.multiplier)
        jump = jnp.concatenate([displacement[:half], -displacement[half:]])
        traction = self.penalty * jump + jnp.pad(self.multiplier, ((0, len(jump) - half), (0, 0)))
        pull = self.gram @ traction
        return jnp.concatenate([-pull[:half], pull[half:]])
