"""`Linearization`: one tangent and one multigrid hierarchy at an equilibrium, for as many solves as are wanted."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ....imaging.errors import SolverError
from .. import given
from ..host_system import HostSystem, HostTangent
from ..model import MM
from ..newton import ROUND_OFF, force_scale, norm
from ..problem import Problem, require_problem
from ..solution import ResultCode, State
from ..system import Timer
from .multipliers import Multipliers, schur
from .parameters import Parameters, filled
from .sensitivity import Sensitivity

EQUILIBRIUM = 1e-6
"""‖residual‖ / force scale above which a state is no equilibrium of the problem: its derivatives would be those of
another function."""
REFINEMENTS = 3
SETTLED = 1e-3
"""Change that Newton's method would make of the largest multiplier, above which multipliers have not settled."""


class Linearization:
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
        self.tangent: HostTangent = self.system.linearize(self.displacement / self.scale, self.fraction)
        self.linear_iterations = 0
        if settled:
            self._check_multipliers()

    @property
    def free(self) -> NDArray[np.float64]:
        """1 where a component is free, 0 where it is prescribed (rows, 3)."""
        return self.system.free

    @cached_property
    def sensitivity(self) -> Sensitivity:
        """∂R/∂p and second derivatives."""
        return Sensitivity(self.problem, self.displacement, self.fraction)

    @cached_property
    def transposed(self) -> HostTangent:
        """The tangent's transpose: itself where it is symmetric."""
        if self.system.symmetric:
            return self.tangent
        from dataclasses import replace

        extra = self.tangent.extra
        return replace(
            self.tangent,
            matrix=_transpose(self.tangent.matrix),
            extra=None if extra is None else _transpose(extra),
        )

    @cached_property
    def multipliers(self) -> Multipliers:
        """Those that hold at the state; none where no contact has any."""
        return Multipliers(self.sensitivity, self.displacement)

    def moved(self, direction: Parameters) -> tuple[NDArray[np.float64], Parameters]:
        """(u̇, ṗ) for a change of the parameters; in ṗ multipliers change as they must."""
        way, kept = filled(direction, self.sensitivity.parameters), self.multipliers
        if not kept.size:
            return self.forward(self.sensitivity.push(way)), way
        way = kept.put(way, np.zeros(kept.size))
        start = self.forward(self.sensitivity.push(way))
        move, by_terms = self.sensitivity.of_terms(way)
        change = schur(self.closing_product, -kept.closing(start, by_terms=by_terms, move=move))
        return start + self.forward(kept.forces(change)), kept.put(way, change)

    def closing_product(self, change: NDArray) -> NDArray[np.float64]:
        """(Q_m − Q_u R_u⁻¹ R_m) ṁ."""
        kept = self.multipliers
        return kept.closing(self.forward(kept.forces(change)), change)

    def adjoints(self, by_displacement: NDArray, direct: Parameters) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(λ, ν) with R_uᵀ λ + Q_uᵀ ν = J_u and R_mᵀ λ + Q_mᵀ ν = J_m; ν is empty without multipliers."""
        kept, first = self.multipliers, self.adjoint(by_displacement)
        if not kept.size:
            return first, np.zeros(0)
        nothing = np.zeros(kept.size)

        def product(own: NDArray) -> NDArray:
            return kept.pulled(-self.adjoint(kept.spread(own)), own)

        own = schur(product, kept.taken(direct) - kept.pulled(first, nothing))
        return first - self.adjoint(kept.spread(own)), own

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

    def forward(self, rate: NDArray) -> NDArray[np.float64]:
        """u̇ (rows, 3) with R_u u̇ = −rate: `rate` is ∂R/∂p ṗ, in N on free rows and m on held ones."""
        held = -rate * (1.0 - self.free)
        rhs = -(rate + self._product(self.tangent, held)) * self.free
        return self._solve(self.tangent, rhs) + held

    def adjoint(self, right: NDArray) -> NDArray[np.float64]:
        """λ (rows, 3) with R_uᵀ λ = right: λ_f = K_ff⁻ᵀ j_f, λ_c = j_c − (K_fc)ᵀ λ_f."""
        inside = self._solve(self.transposed, right * self.free)
        return inside + (right - self._product(self.transposed, inside)) * (1.0 - self.free)

    def _product(self, tangent: HostTangent, direction: NDArray) -> NDArray[np.float64]:
        """K d in N and m³ of d in m and Pa: the system's own tangent is that of scaled rows."""
        return tangent.product(direction / self.scale) / self.scale

    def _solve(self, tangent: HostTangent, rhs: NDArray) -> NDArray[np.float64]:
        return self.scale * self._scaled_solve(tangent, self.scale * rhs)

    def _scaled_solve(self, tangent: HostTangent, rhs: NDArray) -> NDArray[np.float64]:
        """By refinement until the true residual is small: the recursive one of Krylov methods drifts away from it."""
        size = norm(rhs)
        total = np.zeros_like(rhs)
        if size == 0.0:
            return total
        if not np.isfinite(size):
            raise SolverError("the right-hand side is not finite", where="linearization", advice="Look for NaN in it")
        left, reached = rhs, 1.0
        for _ in range(REFINEMENTS):
            outcome = tangent.solve(left, min(0.1, 0.5 * self.tolerance / reached))
            self.linear_iterations += outcome.iterations
            if outcome.indefinite:
                raise SolverError(
                    "the tangent at this state has negative curvature: " + ResultCode.unstable.value,
                    where="linearization",
                    advice=ResultCode.unstable.advice,
                )
            total = total + outcome.solution * self.free
            left = (rhs - tangent.product(total)) * self.free
            before, reached = reached, norm(left) / size
            if reached <= self.tolerance:
                return total
            if reached > 0.5 * before:
                break
        if reached <= 1e3 * self.tolerance and reached < 1e-8:
            return total  # as far as round-off lets it come
        raise SolverError(
            f"the tangent is close to singular: its solve stalled at {reached:.1e}",
            where=f"linearization at {100 * self.fraction:.4g} % of the load",
            advice="A limit of the load, a part that is hardly held, or slivers in the mesh; " + _advice(),
        )

    def _check(self, limit: float) -> None:
        field = self.displacement / self.scale
        now = self.system.evaluate(field, self.fraction)
        if not now.min_jacobian > 0:
            raise SolverError(
                f"the state turns element {now.worst_element} inside out",
                where="linearization",
                advice="Take a state that `solve` returned",
            )
        gap = (self.system.prescribed(self.fraction) - field) * (1.0 - self.free)
        reach = max(float(np.abs(field).max()), self.system.spacing)
        if np.abs(gap).max() > limit * reach:
            self._refuse(f"misses a prescribed displacement by {np.abs(gap).max() / MM:.3g} mm", gap)
        off, scale = norm(now.residual * self.free), force_scale(now, self.free)
        if off > max(limit * scale, ROUND_OFF * now.force_norm):
            share = off / scale if scale > 0 else np.inf
            self._refuse(
                f"leaves {off:.2e} N of forces unbalanced ({share:.1e} of the loads)", now.residual * self.free
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


def _transpose(matrix: sparse.bsr_matrix) -> sparse.bsr_matrix:
    turned = matrix.transpose().tobsr(blocksize=(3, 3))
    turned.sort_indices()
    return turned


def _advice() -> str:
    return ResultCode.linear_solver_stalled.advice[0].lower() + ResultCode.linear_solver_stalled.advice[1:]
