"""A body that nothing holds: its equilibria under given nodal forces, with rigid motion taken out.

Of all displacements that balance the forces, the one without net shift and turn is meant: Qᵀu = 0, Q the six rigid
motions (orthonormal). Multipliers hold it, K u + Q λ = f, which act only where dead loads, balanced at rest, lose
their balance of moments as the body deforms. Weak springs in place of this let the body turn over: the forces that
compress it make K indefinite there.

A thin margin under dead loads may have no equilibrium at all. A body can therefore be stiffened: s K₀ u is added to the
forces within, K₀ the tangent at rest, so that it lies between a hyperelastic body (s = 0) and a linear one (s → ∞).
"""

from __future__ import annotations

from copy import copy
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from ....imaging.errors import SolverError
from ...linear.host import rigid_body_modes
from ..fitting.poisson import small_strain_poisson
from ..host_system import HostSystem
from ..model import Model
from ..supports import PointSprings
from ..system import Timer

HOLD = 1e-6
"""Springs that make K regular, in all: this share of Young's modulus times the body's size."""
LEAST_JACOBIAN = 0.15
"""A step is shortened until det F stays above this."""
BALANCED = 1e-6
"""Residual over the root of the sum of squares of the element forces at which a state is one of equilibrium."""

BALANCE_STEPS = 25
MOST_POISSON_T4 = 0.4901
"""Beyond it T4 are refused; with room for a ratio of 0.49 that is read off a law at small strain."""
STIFFENED = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""s that are tried."""


class NoBalance(SolverError):
    """Loads have no equilibrium nearby, or none that is stable; a stiffer body may have one."""


class FreeBody:
    """Forces and tangents of a body without supports.

    Attributes:
        model: the body; elements of displacements only.
        rigid: (3 nodes, 6) orthonormal rigid motions.
        share: s, of the tangent at rest that is added to the body's own.
    """

    def __init__(self, model: Model, surface: str, young: float) -> None:
        """Args: the body, a facet set that the weak springs act on, a Young's modulus [Pa] for their size.

        Raises:
            SolverError: elements with unknown pressures; linear tetrahedra that lock; a body in pieces.
        """
        if len(model.row_points) != model.nodes:
            raise SolverError(
                "elements with unknown pressures cannot be registered",
                where="register",
                advice="Use T4, T10 or H8 with ν up to 0.49",
            )
        refuse_locking(model)
        refuse_pieces(model)
        size = float(np.linalg.norm(np.ptp(np.asarray(model.points), axis=0)))
        self.model = model
        self.system = HostSystem(model.problem(supports=[PointSprings(surface, HOLD * young * size)]), Timer())
        self.rigid = np.linalg.qr(rigid_body_modes(np.asarray(model.points)).reshape(-1, 6))[0]
        self.share = 0.0

    def out_of_balance(
        self, displacement: Float[NDArray, "nodes 3"], forces: Float[NDArray, "nodes 3"]
    ) -> tuple[Float[np.ndarray, "nodes 3"], float, float]:
        """Internal minus given force [N] without its rigid part, its size over the forces within, and min det F."""
        now = self.system.evaluate(displacement, 1.0)
        rest = np.asarray(now.residual).ravel() - forces.ravel()
        if self.share > 0:
            rest = rest + self.share * (self._at_rest @ displacement.ravel())
        rest = rest - self.rigid @ (self.rigid.T @ rest)
        return rest.reshape(-1, 3), float(np.linalg.norm(rest) / max(now.force_norm, 1e-300)), now.min_jacobian

    def held(self, displacement: Float[NDArray, "nodes 3"], forces: Float[NDArray, "nodes 3"]) -> float:
        """Size of the multipliers' force, over the forces within: dead loads lose their balance as the body deforms."""
        now = self.system.evaluate(displacement, 1.0)
        against = self.rigid.T @ (np.asarray(now.residual).ravel() - forces.ravel())
        return float(np.linalg.norm(against) / max(now.force_norm, 1e-300))

    def compliance(self, displacement: Float[NDArray, "nodes 3"]) -> Compliance:
        """The tangent at a displacement, factorised."""
        return Compliance(self._tangent(displacement), self.rigid)

    @property
    def stiffer(self) -> float:
        """The next s.

        Raises:
            NoBalance: there is none.
        """
        for share in STIFFENED:
            if share > self.share:
                return share
        raise NoBalance("no equilibrium under the loads found", where="register", advice="Give a wider Prior.length")

    def stiffened(self, share: float) -> FreeBody:
        """The same body with s = `share`."""
        other = copy(self)
        other.share = share
        return other

    def stable_at(self, displacement: Float[NDArray, "nodes 3"], least: float = 0.0) -> tuple[FreeBody, Compliance]:
        """The body with the least s from `least` on for which no direction but rigid ones softens, and its compliance.

        Off balance a thin margin under load is unstable, and a step of Newton's method would fold it over.
        """
        own = self.stiffened(0.0)._tangent(displacement)
        for share in STIFFENED:
            if share >= least:
                found = Compliance((own + share * self._at_rest).tocsc() if share > 0 else own, self.rigid)
                if found.stable:
                    return self.stiffened(share), found
        raise SolverError(
            "the body is unstable on the way to the surface seen",
            where="register",
            advice="Check the points, or give a smaller Prior.displacement",
        )

    def _tangent(self, displacement: NDArray) -> csc_matrix:
        own = self.system.linearize(displacement, 1.0).matrix.tocsc()
        return (own + self.share * self._at_rest).tocsc() if self.share > 0 else own

    @cached_property
    def _at_rest(self) -> csc_matrix:
        still = np.zeros_like(np.asarray(self.model.points))
        return self.system.linearize(still, 1.0).matrix.tocsc().copy()

    def step(self, displacement: NDArray, change: NDArray, most: float) -> tuple[NDArray, float]:
        """The displacement after a share of a change [m] that moves no node by more than `most`; and the share."""
        share = min(1.0, most / max(float(np.linalg.norm(change, axis=1).max()), 1e-300))
        while share > 1e-3:
            trial = displacement + share * change
            if self.system.evaluate(trial, 1.0).min_jacobian > LEAST_JACOBIAN:
                return trial, share
            share /= 2.0
        raise SolverError(
            "elements invert on the way to the surface seen",
            where="register",
            advice="Check the points, or give a smaller Prior.displacement",
        )

    def balance(self, displacement: NDArray, forces: NDArray, most: float) -> NDArray:
        """The equilibrium under fixed forces, by Newton's method from a displacement nearby.

        Raises:
            NoBalance: not found in `BALANCE_STEPS` steps, or the body folds on the way.
        """
        for _ in range(BALANCE_STEPS):
            rest, size, _ = self.out_of_balance(displacement, forces)
            if size < BALANCED:
                return displacement
            try:
                change = -self.compliance(displacement).times(rest[:, :, None])[:, :, 0]
                displacement, _ = self.step(displacement, change, most)
            except SolverError as error:
                raise NoBalance(error.what, where="register", advice=error.advice) from error
        raise NoBalance("no equilibrium under the loads found", where="register", advice="Give a wider Prior.length")


class Compliance:
    """K⁻¹ with rigid motions taken out: x − Y (QᵀY)⁻¹ Qᵀx, Y = K⁻¹Q, x = K⁻¹f.

    K is stable without them when [K Q; Qᵀ 0] has six negative eigenvalues: those of K and of −QᵀK⁻¹Q (Haynsworth,
    Linear Algebra Appl 1:73, 1968).

    Attributes:
        stable: whether it is.
    """

    def __init__(self, matrix, rigid: NDArray) -> None:
        options = {"SymmetricMode": True}
        try:
            self._factor = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=1e-3, options=options)
        except RuntimeError as error:
            raise SolverError(
                f"the body's tangent cannot be factorised ({error})",
                where="register",
                advice="Check its stiffness and its elements, or give a smaller Prior.displacement",
            ) from error
        self._rigid, self._moved = rigid, self._factor.solve(rigid.copy())
        gram = rigid.T @ self._moved
        self._gram = np.linalg.inv(gram)
        # Pivots count eigenvalues where rows were not exchanged; else nothing is known, and the tangent is stiffened.
        told = bool((self._factor.perm_r == self._factor.perm_c).all())
        negative = int((self._factor.U.diagonal() < 0).sum())
        self.stable = told and negative + int((np.linalg.eigvalsh((gram + gram.T) / 2.0) > 0).sum()) == 6

    def times(self, forces: Float[NDArray, "nodes 3 n"]) -> Float[np.ndarray, "nodes 3 n"]:
        """Displacements [m] of forces [N]."""
        found = self._factor.solve(np.ascontiguousarray(forces.reshape(-1, forces.shape[2])))
        found -= self._moved @ (self._gram @ (self._rigid.T @ found))
        return found.reshape(forces.shape)


def refuse_locking(model: Model) -> None:
    """Linear tetrahedra that keep their volume hardly deform; what then comes out is of the mesh, not of the organ.

    Raises:
        SolverError: T4 with a Poisson's ratio beyond 0.49.
    """
    for block in model.blocks:
        ratio = small_strain_poisson(block.material) if block.element.name == "T4" else None
        if ratio is not None and ratio.max() > MOST_POISSON_T4:
            raise SolverError(
                f"T4 elements with ν = {ratio.max():.4f} lock",
                where="register",
                advice="Give ν up to 0.49 (0.45 is better), or element T10 or H8",
            )


def refuse_pieces(model: Model) -> None:
    """Each piece would have a pose of its own, which one rigid motion does not hold.

    Raises:
        SolverError: elements of more than one connected part; says where the smaller one begins.
    """
    first, other = [], []
    for block in model.blocks:
        nodes = np.asarray(block.nodes)
        first.append(np.repeat(nodes[:, 0], nodes.shape[1] - 1))
        other.append(nodes[:, 1:].ravel())
    left, right = np.concatenate(first), np.concatenate(other)
    count = model.nodes
    graph = coo_matrix((np.ones(len(left)), (left, right)), (count, count))
    used = np.unique(np.concatenate([left, right]))
    label = connected_components(graph, directed=False)[1][used]
    kinds, sizes = np.unique(label, return_counts=True)
    if len(kinds) > 1:
        small = used[label == kinds[sizes.argmin()]]
        raise SolverError(
            f"the body is in {len(kinds)} pieces; one of {len(small)} nodes holds node {int(small[0])} at "
            f"{np.round(np.asarray(model.points)[small[0]], 4)} m",
            where="register",
            advice="Register each piece by itself, or leave out the small ones",
        )


def softest_young(model: Model) -> float:
    """Young's modulus [Pa] of the softest block's first element, by a small stretch at constant volume: E ≈ 3 μ."""
    stretch = jnp.diag(jnp.array([1.001, 1.001**-0.5, 1.001**-0.5]))[:, :, None]
    found = []
    for block in model.blocks:
        if block.element.dimension == 3:
            piola = np.asarray(jax.tree.map(lambda leaf: leaf[:1].T, block.material).first_piola(stretch))
            found.append(abs(float((piola[0, 0] - piola[1, 1])[0] / 1e-3)))
    return min(found)
