"""How the residual R(u, p) depends on the parameters: ∂R/∂p, its transpose, and second derivatives.

R is force on free rows and u − ū(p) on held ones (`residual.residual`). The parameters are every float array of the
problem. What a load or a support turns into (`Problem.terms`) is part of the chain: p → arrays of the terms → forces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from numpy.typing import NDArray

from ..pattern import VectorScatter
from ..problem import Problem
from .kernels import Batch, Place, as_arrays
from .parameters import Parameters, bound, filled, split

Beside = Sequence[tuple[int, Place]]
"""Cotangents (X, u, arrays) of the groups of some terms, by the number of the term."""


class Sensitivity:
    """Derivatives of the residual of a problem at one displacement (rows, 3) m and load fraction.

    With `tissue_alone`, f is the force of the elements, without loads, supports and contacts.
    """

    def __init__(self, problem: Problem, displacement: NDArray, fraction: float, *, tissue_alone: bool = False) -> None:
        self.problem, self.displacement, self.fraction = problem, displacement, fraction
        self.tissue_alone = tissue_alone
        self.parameters, self._fixed = split(problem)
        points = np.asarray(problem.model.row_points)
        self.held = np.asarray(problem.held())
        blocks = problem.model.blocks
        self.blocks = [
            Batch(block.element, np.asarray(block.nodes), block.material, points, displacement, fraction)
            for block in blocks
        ]
        terms = [] if tissue_alone else problem.terms()
        self.terms = [Batch(None, np.asarray(term.nodes), term, points, displacement, fraction) for term in terms]
        self._scatter = [VectorScatter(batch.nodes, len(points)) for batch in (*self.blocks, *self.terms)]

    def push(self, direction: Parameters) -> NDArray[np.float64]:
        """∂R/∂p ṗ (rows, 3): N on free rows, m on held ones."""
        along = filled(direction, self.parameters)
        _, (by_terms, given) = jax.jvp(self._bound, (self.parameters,), (along,))
        move = self._rows(along.model.points)
        materials = [block.material for block in along.model.blocks]
        total = self.push_parts(move, np.zeros_like(move), by_terms, materials)
        return np.where(self.held, -np.asarray(given), total)

    def push_forces(self, direction: Parameters, along: NDArray, first: NDArray | None = None) -> NDArray[np.float64]:
        """Rate of internal minus external force f (rows, 3) [N] along (u̇, ṗ), held rows included.

        Args:
            direction: ṗ.
            along: u̇ (rows, 3).
            first: v (rows, 3); then it is the rate of K v, K = ∂f/∂u, that is asked for.
        """
        way = filled(direction, self.parameters)
        move, by_terms = self.of_terms(way)
        return self.push_parts(move, along, by_terms, [block.material for block in way.model.blocks], first)

    def of_terms(self, direction: Parameters) -> tuple[NDArray, list[Parameters]]:
        """A change of the parameters as one of places (rows, 3) m and of the arrays of each term."""
        along = filled(direction, self.parameters)
        return self._rows(along.model.points), jax.jvp(self._bound, (self.parameters,), (along,))[1][0]

    def push_parts(
        self,
        move: NDArray,
        along: NDArray,
        by_terms: list[Parameters],
        materials: list[Parameters] | None = None,
        first: NDArray | None = None,
    ) -> NDArray[np.float64]:
        """Rate of internal minus external force (rows, 3) N as places, displacements (rows, 3) m and arrays change.

        With `first`, a displacement's rate v, that of K v.
        """
        still = [jax.tree.map(np.zeros_like, batch.parameters) for batch in self.blocks]
        ways = [*(still if materials is None else materials), *by_terms]
        total = np.zeros_like(move)
        for batch, way, scatter in zip((*self.blocks, *self.terms), ways, self._scatter, strict=True):
            rate = batch.push(move, along, way) if first is None else batch.push_rate(first, move, along, way)
            total += scatter(rate)
        return total

    def pull(self, weight: NDArray, beside: Beside = ()) -> Parameters:
        """(∂R/∂p)ᵀ λ for λ (rows, 3): a problem-shaped tree; `beside` is what else comes through the terms."""
        return self.pull_both(weight, beside)[1]

    def pull_both(self, weight: NDArray, beside: Beside = ()) -> tuple[NDArray[np.float64], Parameters]:
        """(∂f/∂u)ᵀ λ (rows, 3), λ where free and f the forces, and `pull`."""
        free = np.where(self.held, 0.0, weight)
        parts = [batch.pull(free) for batch in (*self.blocks, *self.terms)]
        slope = sum(scatter(np.asarray(part[1])) for scatter, part in zip(self._scatter, parts, strict=True))
        parts = _joined(parts, beside, len(self.blocks))
        _, back = jax.vjp(self._bound, self.parameters)
        return np.asarray(slope), self._collected(parts, back(self._cotangent(parts, weight))[0])

    def pull_rate(
        self, weight: NDArray, along: NDArray, direction: Parameters, beside: Beside = (), rates_beside: Beside = ()
    ) -> tuple[NDArray[np.float64], Parameters]:
        """The derivative along (u̇, ṗ) of (∂R/∂u)ᵀλ (rows, 3) and of (∂R/∂p)ᵀλ, with λ constant."""
        way = filled(direction, self.parameters)
        free = np.where(self.held, 0.0, weight)
        _, (by_terms, _given) = jax.jvp(self._bound, (self.parameters,), (way,))
        ways = [*(block.material for block in way.model.blocks), *by_terms]
        batches = (*self.blocks, *self.terms)
        move = self._rows(way.model.points)
        rates = [b.pull_rate(free, move, along, w) for b, w in zip(batches, ways, strict=True)]
        rates = _joined(rates, rates_beside, len(self.blocks))
        parts = _joined([batch.pull(free) for batch in self.terms], beside, 0)

        def back(at: Parameters, cotangent: Any) -> Parameters:
            return jax.vjp(self._bound, at)[1](cotangent)[0]

        now = (as_arrays([part[2] for part in parts]), as_arrays(np.where(self.held, -weight, 0.0)))
        rate = (as_arrays([part[2] for part in rates[len(self.blocks) :]]), as_arrays(np.zeros_like(weight)))
        _, through = jax.jvp(back, (self.parameters, now), (way, rate))
        slope = sum(scatter(part[1]) for scatter, part in zip(self._scatter, rates, strict=True))  # pyright: ignore[reportArgumentType]
        return np.asarray(slope), self._collected(rates, through)

    def pull_rate_rate(
        self, weight: NDArray, first: NDArray, along: NDArray, direction: Parameters
    ) -> tuple[NDArray[np.float64], Parameters]:
        """The derivative along (u̇, ṗ) of what `pull_rate` gives along `first` (rows, 3) m alone, of elements."""
        way = filled(direction, self.parameters)
        free, move = np.where(self.held, 0.0, weight), self._rows(way.model.points)
        pairs = zip(self.blocks, way.model.blocks, strict=True)
        rates = [batch.pull_rate_rate(free, first, move, along, block.material) for batch, block in pairs]
        slope = sum(scatter(np.asarray(part[1])) for scatter, part in zip(self._scatter, rates, strict=False))
        return np.asarray(slope), self._collected(rates, jax.tree.map(jax.numpy.zeros_like, self.parameters))

    def _rows(self, points: Any) -> NDArray[np.float64]:
        """A change of the nodes as a field of all rows: pressures have no place of their own in any force."""
        rest = len(self.held) - self.problem.model.nodes
        return np.concatenate([np.asarray(points), np.zeros((rest, 3))])

    def _bound(self, parameters: Parameters) -> Any:
        return bound(parameters, self._fixed, self.fraction, tissue_alone=self.tissue_alone)

    def _cotangent(self, parts: list[Place], weight: NDArray) -> Any:
        terms = [part[2] for part in parts[len(self.blocks) :]]
        return as_arrays(terms), as_arrays(np.where(self.held, -weight, 0.0))

    def _collected(self, parts: list[Place], through: Parameters) -> Parameters:
        """Adds what nodes and materials contribute themselves to what came through the terms."""
        nodes = self.problem.model.nodes
        points = through.model.points + sum(s(p[0])[:nodes] for s, p in zip(self._scatter, parts, strict=True))  # pyright: ignore[reportArgumentType]
        tree = eqx.tree_at(lambda t: t.model.points, through, points)
        for index, part in enumerate(parts[: len(self.blocks)]):
            before = tree.model.blocks[index].material
            after = jax.tree.map(lambda a, b: a + b, before, part[2])
            tree = eqx.tree_at(lambda t, i=index: t.model.blocks[i].material, tree, after)
        return tree


def _joined(parts: list[Place], beside: Beside, first: int) -> list[Place]:
    """Parts of which those of the terms begin at `first`, with what else comes through the terms added."""
    for term, part in beside:
        parts[first + term] = jax.tree.map(lambda a, b: a + b, parts[first + term], part)
    return parts
