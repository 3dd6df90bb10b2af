"""The derivative of a time step's balance, and what solves it where a matrix holds only most of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..linear.direct import Factorisation
from ..linear.host import HostLinearSolver
from ..linear.krylov import gmres
from .conserving import ConservingSlope
from .host_system import HostTangent
from .mass import MassMatrix
from .newton import norm
from .system import LinearOutcome, NodalField, Tangent

if TYPE_CHECKING:
    from .time_step import StepSystem


class StepTangent:
    """The derivative of a step's balance."""

    def __init__(
        self, whole: Tangent, system: StepSystem, inertia: float, noise: float, between: NodalField | None
    ) -> None:
        self.whole, self.system, self.inertia, self.between = whole, system, inertia, between
        self.round_off = whole.round_off + noise

    def product(self, direction: NodalField) -> NodalField:
        """K d [N]; held components have a given acceleration, so that their inertia does not change with d."""
        image = self.whole.product(direction if self.between is None else direction / self.between)
        held = direction * (1.0 - self.system.free)
        return image if norm(held) == 0.0 else image - self.inertia * self.system.mass.product(held)

    def solve(self, rhs: NodalField, tolerance: float, probe: NodalField | None = None) -> LinearOutcome:
        """Solve for the free components."""
        found = self.whole.solve(rhs, tolerance, probe)
        return found if self.between is None else found._replace(solution=found.solution * self.between)

    def shifted(self, stiffness: float, inertia: float, mass: MassMatrix) -> Tangent:
        """Of the whole."""
        return self.whole.shifted(stiffness, inertia, mass)

    def plus(self, share: float, other: Tangent) -> Tangent:
        """Of the whole."""
        return self.whole.plus(share, other)


class ConservingTangent(StepTangent):
    """That of forces that conserve energy: the midpoint rule's matrix, and what it lacks element by element.

    It is not symmetric and its products are dear, so GMRES takes few of them: its preconditioner is the matrix's own
    solver, whose answer is off by the square of the step's strain.
    """

    def __init__(
        self, whole: HostTangent, system: StepSystem, inertia: float, noise: float, slope: ConservingSlope
    ) -> None:
        super().__init__(whole, system, inertia, noise, None)
        self.exact = CompletedTangent(whole, slope.__matmul__)
        self.slope = slope

    def product(self, direction: NodalField) -> NodalField:
        """K d [N], held components included."""
        return super().product(direction) + self.slope @ direction

    def solve(self, rhs: NodalField, tolerance: float, probe: NodalField | None = None) -> LinearOutcome:
        """Solve for the free components."""
        return self.exact.solve(rhs, tolerance)


class MixedDampedTangent(StepTangent):
    """That of mixed elements damped by stiffness: (1 − αf) K + d K₀ + m M, and what it lacks in columns of pressures.

    d = (1 − αf) b γ/βΔt. The damper acts on rates of displacement alone: columns of displacements are
    (1 − αf) K + d K₀, those of pressures K. With pressures over 1 − αf + d both are those of one symmetric matrix but
    for d (K − K₀) in the columns of pressures, of the size of the step's strain.
    """

    def __init__(
        self,
        whole: HostTangent,
        system: StepSystem,
        inertia: float,
        noise: float,
        between: NodalField | None,
        damped: float,
    ) -> None:
        super().__init__(whole, system, inertia, noise, between)
        self.damped, self.kept = damped, 1.0 - system.integrator.force_lag
        self.exact = CompletedTangent(whole, self.lacking)

    def lacking(self, direction: NodalField) -> NodalField:
        """d (K − K₀) p; K from the sum that the matrix is, in which pressures have no mass."""
        assert self.system.damper is not None
        pressures = direction * (1.0 - self.system.pressureless)
        damper = (self.kept + self.damped) * self.system.damper.product(pressures)
        return self.damped / self.kept * (self.whole.product(pressures) - damper)

    def product(self, direction: NodalField) -> NodalField:
        """K d [N], held components included."""
        inner = direction if self.between is None else direction / self.between
        return super().product(direction) + self.lacking(inner)

    def solve(self, rhs: NodalField, tolerance: float, probe: NodalField | None = None) -> LinearOutcome:
        """Solve for the free components."""
        found = self.exact.solve(rhs, tolerance)
        return found if self.between is None else found._replace(solution=found.solution * self.between)


class CompletedTangent:
    """A matrix, and what it lacks as products with (rows, 3); by GMRES, preconditioned by the matrix's own solver."""

    def __init__(self, matrix: HostTangent, lacking: Callable[[NDArray], NDArray]) -> None:
        self.matrix, self.lacking, self.free = matrix, lacking, matrix.system.free

    def product(self, direction: NDArray) -> NDArray:
        """K d, held components included."""
        return self.matrix.product(direction) + self.lacking(direction)

    def solve(self, rhs: NDArray, tolerance: float, probe: NDArray | None = None) -> LinearOutcome:
        """Solve for the free components."""
        free, held = self.free, self.matrix.held()

        def product(values: NDArray) -> NDArray:
            return held @ values + (free * self.lacking(free * values.reshape(-1, 3))).ravel()

        inner = Inner(self.matrix)
        found = gmres(product, np.ascontiguousarray(rhs).ravel(), inner, tolerance)
        solution, count = found.solution.reshape(-1, 3), max(inner.iterations, found.iterations)
        return LinearOutcome(solution, count, found.converged, residuals=found.residuals)


class Inner:
    """A tangent's own solver, to a hundredth, as a preconditioner of what is nearly that tangent; factors once made."""

    def __init__(self, tangent: HostTangent) -> None:
        self.tangent, self.iterations = tangent, 0
        solver, matrix = tangent.system.solver, tangent.held()
        small = isinstance(solver, HostLinearSolver) and solver.direct(matrix.shape[0])
        self.factors = Factorisation(matrix, symmetric=tangent.system.symmetric) if small else None

    def __matmul__(self, rhs: np.ndarray) -> np.ndarray:
        if self.factors is not None:
            return self.factors @ rhs
        found = self.tangent.solve(rhs.reshape(-1, 3), 1e-2)
        self.iterations += found.iterations
        return found.solution.ravel()
