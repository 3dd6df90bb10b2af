"""`Linearization`: one tangent and one multigrid hierarchy at an equilibrium, for as many solves as are wanted."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from .. import given
from ..host_system import HostSystem
from ..model import MM
from ..newton import ROUND_OFF, force_scale, norm
from ..problem import Problem, require_problem
from ..solution import State
from ..system import Timer
from .multipliers import schur
from .parameters import Parameters, filled
from .saddle import Saddle
from .sensitivity import Sensitivity
from .solves import Solves

EQUILIBRIUM = 1e-6
"""‖residual‖ / force scale above which a state is no equilibrium of the problem: its derivatives would be those of
another function."""
SETTLED = 1e-3
"""Change that Newton's method would make of the largest multiplier, above which multipliers have not settled."""


class Linearization(Saddle):
    """R(u, p) = 0 linearised: R_u u̇ + R_p ṗ = 0, forwards and transposed.

    Multipliers of contacts and ties are no parameters but unknowns, held by Q(u, m, p) = 0 (`multipliers`): `moved` and
    `pulled` take them along, `forward` and `adjoint` are those of R_u alone.

    Args:
        problem: solved problem; with contact, `Solution.problems` holds the one at its pairs and history.
        state: its equilibrium.
        tolerance: relative residual of linear solves, checked on the true residual.
        equilibrium: largest ‖residual‖ / force scale of a state that counts as an equilibrium.
        settled: whether multipliers must be at their limit.

    Raises:
        SolverError: the state is not an equilibrium of the problem, or its multipliers have not settled.
    """

    def __init__(
        self,
        problem: Problem,
        state: State,
        *,
        tolerance: float = 1e-11,
        equilibrium: float = EQUILIBRIUM,
        settled: bool = True,
    ) -> None:
        require_problem(problem, "linearization")
        if not isinstance(state, State):
            told = f"a {type(state).__name__} is no state"
            raise SolverError(told, where="linearization", advice="Give the final state of a solution")
        self.problem, self.state, self.tolerance = problem, state, given.tolerance(tolerance, "linearization")
        self.fraction = float(state.load_fraction)
        self.system = HostSystem(problem, Timer())
        self.displacement = np.asarray(state.rows, float)
        if self.displacement.shape != self.system.points.shape:
            raise SolverError(
                f"the state has {len(self.displacement)} rows, the problem {len(self.system.points)}",
                where="linearization",
                advice="Take a state of this problem",
            )
        self.scale = self.system.row_scale
        self._check(equilibrium)
        tangent = self.system.linearize(self.displacement / self.scale, self.fraction)
        where = f"linearization at {100 * self.fraction:.4g} % of the load"
        sensitivity = Sensitivity(problem, self.displacement, self.fraction)
        super().__init__(Solves(self.system, tangent, self.tolerance, where), sensitivity)
        if settled:
            self._check_multipliers()

    def moved(self, direction: Parameters) -> tuple[NDArray[np.float64], Parameters]:
        """(u̇, ṗ) for a change of the parameters; in ṗ multipliers change as they must."""
        way, kept = filled(direction, self.sensitivity.parameters), self.multipliers
        if not kept.size:
            return self.forward(self.sensitivity.push(way)), way
        way = kept.put(way, np.zeros(kept.size))
        found, change = self.answered(self.sensitivity.push(way), *self.sensitivity.of_terms(way))
        return found, kept.put(way, change)

    def through(self, multiplier: NDArray, own: NDArray) -> Parameters:
        """R_pᵀ λ + Q_pᵀ ν: a problem-shaped tree."""
        return self.sensitivity.pull(multiplier, self.multipliers.beside(own) if len(own) else ())

    def through_rate(
        self, multiplier: NDArray, own: NDArray, along: NDArray, way: Parameters
    ) -> tuple[NDArray[np.float64], Parameters]:
        """The derivative along (u̇, ṗ) of (R_uᵀ λ + Q_uᵀ ν, R_pᵀ λ + Q_pᵀ ν), λ and ν constant."""
        kept = self.multipliers
        beside = (kept.beside(own), kept.rates_beside(own, along, way)) if len(own) else ((), ())
        return self.sensitivity.pull_rate(multiplier, along, way, *beside)

    def pulled(self, by_displacement: NDArray, direct: Parameters) -> Parameters:
        """dJ/dp from (J_u, J_p); zero for multipliers, which are no parameters."""
        through = self.through(*self.adjoints(by_displacement, direct))
        return self.settled(jax.tree.map(lambda a, b: a - b, direct, through))

    def settled(self, slope: Parameters) -> Parameters:
        """A cotangent of all arrays without that of multipliers."""
        return self.multipliers.put(slope, np.zeros(self.multipliers.size)) if self.multipliers.size else slope

    def _check(self, limit: float) -> None:
        field = self.displacement / self.scale
        now = self.system.evaluate(field, self.fraction)
        if not now.min_jacobian > 0:
            raise SolverError(
                f"the state turns element {now.worst_element} inside out",
                where="linearization",
                advice="Take a state that `solve` returned",
            )
        gap = (self.system.prescribed(self.fraction) - field) * (1.0 - self.system.free)
        reach = max(float(np.abs(field).max()), self.system.spacing)
        if np.abs(gap).max() > limit * reach:
            self._refuse(f"misses a prescribed displacement by {np.abs(gap).max() / MM:.3g} mm", gap)
        off, scale = norm(now.residual * self.system.free), force_scale(now, self.system.free)
        if off > max(limit * scale, ROUND_OFF * now.force_norm):
            share = off / scale if scale > 0 else np.inf
            self._refuse(
                f"leaves {off:.2e} N of forces unbalanced ({share:.1e} of the loads)", now.residual * self.system.free
            )

    def _check_multipliers(self) -> None:
        """One more Newton step on the multipliers must change no sign: every point that presses goes on pressing."""
        kept = self.multipliers
        if not kept.size:
            return  # nothing is met
        if all(held.batch is None for held in kept.held):
            return  # the jumps of ties are linear: their derivative does not wait for the multipliers
        now, left = kept.taken(self.problem), kept.left()
        change = schur(self.closing_product, -left, strict=False)
        size = float(np.abs(now).max(initial=0.0))
        if np.abs(change).max() > SETTLED * size:
            raise SolverError(
                f"multipliers have not settled: Newton's method would change them by {np.abs(change).max():.3g} Pa, "
                f"the largest is {size:.3g} Pa",
                where=f"linearization at {100 * self.fraction:.4g} % of the load",
                advice="Take `settling.settled(solution.problems[-1], solution.final)`, or solve with less penetration",
            )

    def _refuse(self, what: str, field: Any) -> None:
        worst = int(np.argmax(np.abs(field).max(axis=1)))
        place = np.round(self.system.points[worst] / MM, 2)
        raise SolverError(
            f"the state is not an equilibrium of this problem: it {what}",
            where=f"node {worst} at {place} mm, {100 * self.fraction:.4g} % of the load",
            advice="Solve to 1e-8 or less; with contact take `solution.problems[-1]`, which holds its history",
        )
