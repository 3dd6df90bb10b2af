"""The residual and its tangent on a device: everything is compiled as a whole and stays there.

The tangent is kept as element stiffness blocks; its product gathers, multiplies and scatters. Conjugate gradients
run in one compiled loop, preconditioned by a V-cycle whose hierarchy the host makes once per solve or when it has aged.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...imaging.errors import SolverError
from ..linear.device import Blocks, LocalStiffness, solve_device
from ..linear.device_cycle import DeviceCycle
from ..linear.device_gmres import solve_unsymmetric
from ..linear.device_saddle import Saddle, solve_saddle
from ..linear.host import REBUILD_GROWTH
from .device_hierarchy import device_cycle
from .mass import MassMatrix
from .problem import Problem
from .residual import evaluate_blocks, external_force
from .row_scale import row_scale
from .solution import State
from .system import Evaluation, LinearOutcome, Timer
from .terms import Term


class DeviceSystem:
    """A problem ready for Newton's method on the device of its arrays."""

    def __init__(self, problem: Problem, timer: Timer) -> None:
        self.problem, self.timer = problem.begun(), timer
        if problem.moving():
            raise SolverError(
                "contact between tissues is searched for on the host",
                where="linear_solver='device'",
                advice="Use linear_solver='host'",
            )
        self.terms = self.problem.terms()
        self.live = [term for term in self.terms if not term.dead]
        self.symmetric, self.nodes = all(term.symmetric for term in self.live), problem.model.nodes
        self.definite = not len(problem.model.pressure_corners)
        if not (self.symmetric or self.definite):
            raise SolverError(
                "unknown pressures and an unsymmetric stiffness (friction, a pressure on an open, free-rimmed surface)",
                where="linear_solver='device'",
                advice="Use the host solver; for a pressure, hold the rim or give Pressure(symmetric=True)",
            )
        self.free = jnp.asarray(~problem.held(), float)
        self.points = problem.model.row_points
        self.row_scale = jnp.asarray(row_scale(problem.model))
        self.counts = [block.element.nodes for block in problem.model.blocks]
        self.counts += [term.nodes.shape[1] for term in self.live]
        self.spacing = float(jnp.ptp(self.points, axis=0).max()) / len(self.points) ** (1 / 3)
        self.cycle: DeviceCycle | None = None
        self.stale, self.effort_when_new = True, None
        self.source = np.concatenate([np.asarray(block.source) for block in problem.model.blocks])

    def renew(self, blocks: Blocks) -> None:
        """A new hierarchy for a tangent, or for its rows of displacements."""
        with self.timer.part("preconditioner"):
            self.cycle = device_cycle(blocks, np.asarray(self.points)[: self.nodes])
            self.stale, self.effort_when_new = False, None

    def aged(self, outcome: LinearOutcome, tolerance: float) -> None:
        """Whether the hierarchy is to be made anew: iterations per digit have doubled, or the last solve stalled."""
        effort = outcome.iterations / max(-np.log10(max(tolerance, 1e-16)), 0.3)
        if self.effort_when_new is None:
            self.effort_when_new = max(effort, 4.0)
        elif self.cycle is not None:
            self.stale = effort > REBUILD_GROWTH * self.effort_when_new or not outcome.converged

    def use(self, problem: Problem) -> None:
        """Go on with another history (multipliers) of the same problem."""
        if problem is not self.problem:
            self.problem, self.terms = problem, problem.terms()
            self.live = [term for term in self.terms if not term.dead]

    def augment(self, displacement: Array, fraction: float) -> bool:
        """Move the multipliers of contacts on; False where all is as close as it was asked to be."""
        problem, moved = self.problem.augmented(np.asarray(displacement), fraction)
        self.use(problem)
        return moved

    def advance(self, displacement: Array, fraction: float) -> None:
        """Move slip history on after a converged load step."""
        if self.problem.contacts:
            self.use(self.problem.advanced(np.asarray(displacement), fraction))

    def bound(self, displacement: Array, fraction: float) -> Problem:
        """The problem of whose residual an equilibrium is a zero."""
        return self.problem

    def stride(self, displacement: Array, step: Array) -> float:
        """All of a step: there are no pairs that change on a device."""
        return 1.0

    def zeros(self) -> Array:
        """No displacement (nodes, 3) m."""
        return jnp.zeros_like(self.points)

    def array(self, values: object) -> Array:
        """A nodal field on the device."""
        return jnp.asarray(values, float)

    def field_of(self, state: State) -> Array:
        """The unknowns of a state: displacements [m], and pressures over `row_scale` [m]."""
        return state.rows / self.row_scale

    def state_of(self, fraction: float, field: Array) -> State:
        """The state of a field of unknowns."""
        return State.of_rows(fraction, field * self.row_scale, self.nodes)

    def prescribed(self, fraction: float) -> Array:
        """Prescribed displacement (nodes, 3) m, zero where free."""
        return self.problem.prescribed_displacement(fraction)

    def evaluate(self, displacement: Array, fraction: float) -> Evaluation:
        """Internal and external forces, energy and the smallest det F."""
        with self.timer.part("residual"):
            internal, external, energy, jacobian, square = jax.block_until_ready(
                _evaluate(self.problem, self.terms, displacement * self.row_scale, jnp.asarray(fraction))
            )
            worst = int(jnp.argmin(jnp.where(jnp.isnan(jacobian), -jnp.inf, jacobian)))
        smallest = float(jacobian[worst])
        smallest = smallest if np.isfinite(smallest) else -np.inf
        internal = internal * self.row_scale
        return Evaluation(internal, external, float(energy), smallest, int(self.source[worst]), float(square) ** 0.5)

    def linearize(self, displacement: Array, fraction: float, *, tissue_alone: bool = False) -> DeviceTangent:
        """Element stiffness blocks, and those of loads and supports unless the tissue is asked for alone."""
        with self.timer.part("assembly"):
            unknowns = displacement * self.row_scale
            live = [] if tissue_alone else self.live
            parts = jax.block_until_ready(_linearize(self.problem, live, unknowns, jnp.asarray(fraction)))
            blocks = Blocks(parts if self.definite else scaled(parts, self.row_scale[:, 0]), self.free)
            noise = np.finfo(float).eps * float(_diagonal_norm(blocks) * (jnp.abs(displacement).max() + self.spacing))
        return DeviceTangent(self, blocks, noise)


class DeviceTangent:
    """Element stiffness blocks on the device."""

    def __init__(self, system: DeviceSystem, blocks: Blocks, round_off: float) -> None:
        self.system, self.blocks, self.round_off = system, blocks, round_off

    def product(self, direction: Array) -> Array:
        """K d (nodes, 3) N, held components included."""
        return _product(self.blocks, direction)

    def shifted(self, stiffness: float, inertia: float, mass: MassMatrix) -> DeviceTangent:
        """stiffness K + inertia M: the mass of a pair of nodes is a group of its own."""
        parts = [LocalStiffness(part.nodes, stiffness * part.matrices) for part in self.blocks.parts]
        upper = mass.rows < mass.columns
        pair = jnp.asarray([[0.0, 1.0], [1.0, 0.0]])[:, None, :, None] * jnp.eye(3)[None, :, None, :]
        values = inertia * jnp.asarray(mass.values[upper])[:, None, None] * pair.reshape(6, 6)
        parts.append(LocalStiffness(jnp.asarray(np.stack([mass.rows, mass.columns], axis=1)[upper]), values))
        own = inertia * jnp.asarray(mass.diagonal)[:, None, None] * jnp.eye(3)
        parts.append(LocalStiffness(jnp.arange(len(mass.diagonal))[:, None], own))
        return DeviceTangent(self.system, Blocks(parts, self.blocks.free), stiffness * self.round_off)

    def plus(self, share: float, other: DeviceTangent) -> DeviceTangent:
        """This tangent and a share of another of the same problem: its groups come first in both."""
        first = zip(self.blocks.parts, other.blocks.parts, strict=False)
        parts = [LocalStiffness(own.nodes, own.matrices + share * more.matrices) for own, more in first]
        parts.extend(self.blocks.parts[len(parts) :])
        noise = self.round_off + share * other.round_off
        return DeviceTangent(self.system, Blocks(parts, self.blocks.free), noise)

    def solve(self, rhs: Array, tolerance: float, probe: Array | None = None) -> LinearOutcome:
        """Solve for the free components; held ones are zero. A probe is not used."""
        if not self.system.definite:
            return self._solve_saddle(rhs, tolerance)
        if self.system.stale:
            self.system.renew(self.blocks)
        with self.system.timer.part("krylov"):
            cycle = self.system.cycle
            if self.system.symmetric:
                found = solve_device(self.blocks, rhs, jnp.asarray(tolerance), cycle)
            else:
                found = (*solve_unsymmetric(self.blocks, rhs, jnp.asarray(tolerance), cycle), False)
        outcome = LinearOutcome(found[0], int(found[1]), bool(found[2]), bool(found[3]))
        self.system.aged(outcome, tolerance)
        if cycle is not None and self.system.stale and not outcome.converged and not outcome.indefinite:
            self.system.renew(self.blocks)
            return self.solve(rhs, tolerance)
        return outcome

    def _solve_saddle(self, rhs: Array, tolerance: float) -> LinearOutcome:
        """With unknown pressures."""
        system = self.system
        masses = self.blocks.parts[len(system.counts) :]
        counts = [*system.counts, *(part.nodes.shape[1] for part in masses)]
        saddle = Saddle.of(self.blocks, counts, system.nodes)
        if system.stale:
            system.renew(saddle.solid)
        with system.timer.part("krylov"):
            found = solve_saddle(saddle, rhs, tolerance, system.cycle)
        outcome = LinearOutcome(found.solution, int(found.iterations), bool(found.converged))
        system.aged(outcome, tolerance)
        return outcome


@eqx.filter_jit
def _evaluate(problem: Problem, terms: list[Term], displacement: Array, fraction: Array) -> tuple[Array, ...]:
    internal = jnp.zeros_like(displacement)
    energy, square, jacobians = jnp.zeros(()), jnp.zeros(()), []
    for block, part in zip(problem.model.blocks, evaluate_blocks(displacement, problem, fraction), strict=True):
        for local in range(block.nodes.shape[1]):
            internal = internal.at[block.nodes[:, local]].add(part.force[:, local])
        energy, square = energy + part.energy.sum(), square + jnp.sum(part.force**2)
        jacobians.append(part.min_jacobian)
    external = external_force(displacement, problem, fraction, terms)
    return internal, external, energy, jnp.concatenate(jacobians), square


@eqx.filter_jit
def _linearize(problem: Problem, live: list[Term], displacement: Array, fraction: Array) -> list[LocalStiffness]:
    points = problem.model.row_points
    parts = []
    for block in problem.model.blocks:
        material = block.material.at(fraction)
        pairs = block.element.tangent(points[block.nodes], displacement[block.nodes], material)
        rows = block.nodes.shape[1]
        first, second = np.triu_indices(rows)
        blocks = pairs.reshape(len(block.nodes), -1, 3, 3)
        size = (len(block.nodes), rows, rows, 3, 3)
        half = jnp.zeros(size).at[:, first, second].set(blocks)
        parts.append(LocalStiffness.of(block.nodes, half + jnp.transpose(half, (0, 2, 1, 4, 3))))
    for term in live:
        full = term.tangents(points[term.nodes], displacement[term.nodes], fraction)
        if term.symmetric:
            full = 0.5 * (full + jnp.transpose(full, (0, 2, 1, 4, 3)))
        parts.append(LocalStiffness.of(term.nodes, full))
    return parts


@eqx.filter_jit
def scaled(parts: list[LocalStiffness], scale: Array) -> list[LocalStiffness]:
    """Rows and columns of pressures in the units of `row_scale`."""
    found = []
    for nodes, matrices in parts:
        own = jnp.repeat(scale[nodes], 3, axis=1)
        found.append(LocalStiffness(nodes, matrices * own[:, :, None] * own[:, None]))
    return found


@eqx.filter_jit
def _product(blocks: Blocks, direction: Array) -> Array:
    return blocks.product(direction)


@eqx.filter_jit
def _diagonal_norm(blocks: Blocks) -> Array:
    return jnp.linalg.norm(blocks.diagonal())
