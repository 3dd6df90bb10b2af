"""A body that nothing holds: its equilibria under given nodal forces, with rigid motion taken out.

Of all displacements that balance the forces, the one without net shift and turn is meant: Qᵀu = 0, Q the six rigid
motions (orthonormal). Multipliers hold it, K u + Q λ = f, which act only where dead loads, balanced at rest, lose
their balance of moments as the body deforms. Weak springs in place of this let the body turn over: the forces that
compress it make K indefinite there.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from ....imaging.errors import SolverError
from ...linear.host import rigid_body_modes
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


class FreeBody:
    """Forces and tangents of a body without supports.

    Attributes:
        model: the body; elements of displacements only.
        rigid: (3 nodes, 6) orthonormal rigid motions.
    """

    def __init__(self, model: Model, surface: str, young: float) -> None:
        """Args: the body, a facet set that the weak springs act on, a Young's modulus [Pa] for their size.

        Raises:
            SolverError: elements with unknown pressures.
        """
        if len(model.row_points) != model.nodes:
            raise SolverError(
                "elements with unknown pressures cannot be registered",
                where="register",
                advice="Use T4, T10 or H8 with ν up to 0.49",
            )
        size = float(np.linalg.norm(np.ptp(np.asarray(model.points), axis=0)))
        self.model = model
        self.system = HostSystem(model.problem(supports=[PointSprings(surface, HOLD * young * size)]), Timer())
        self.rigid = np.linalg.qr(rigid_body_modes(np.asarray(model.points)).reshape(-1, 6))[0]

    def out_of_balance(
        self, displacement: Float[NDArray, "nodes 3"], forces: Float[NDArray, "nodes 3"]
    ) -> tuple[Float[np.ndarray, "nodes 3"], float, float]:
        """Internal minus given force [N] without its rigid part, its size over the forces within, and min det F."""
        now = self.system.evaluate(displacement, 1.0)
        rest = np.asarray(now.residual).ravel() - forces.ravel()
        rest = rest - self.rigid @ (self.rigid.T @ rest)
        return rest.reshape(-1, 3), float(np.linalg.norm(rest) / max(now.force_norm, 1e-300)), now.min_jacobian

    def compliance(self, displacement: Float[NDArray, "nodes 3"]) -> Compliance:
        """The tangent at a displacement, factorised."""
        matrix = self.system.linearize(displacement, 1.0).matrix.tocsc()
        return Compliance(matrix, self.rigid)

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
            SolverError: not found in `BALANCE_STEPS` steps.
        """
        for _ in range(BALANCE_STEPS):
            rest, size, _ = self.out_of_balance(displacement, forces)
            if size < BALANCED:
                return displacement
            change = -self.compliance(displacement).times(rest[:, :, None])[:, :, 0]
            displacement, _ = self.step(displacement, change, most)
        raise SolverError("no equilibrium under the loads found", where="register", advice="Give a wider Prior.length")


class Compliance:
    """K⁻¹ with rigid motions taken out: x − Y (QᵀY)⁻¹ Qᵀx, Y = K⁻¹Q, x = K⁻¹f."""

    def __init__(self, matrix, rigid: NDArray) -> None:
        options = {"SymmetricMode": True}
        self._factor = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=1e-3, options=options)
        self._rigid, self._moved = rigid, self._factor.solve(rigid.copy())
        self._gram = np.linalg.inv(rigid.T @ self._moved)

    def times(self, forces: Float[NDArray, "nodes 3 n"]) -> Float[np.ndarray, "nodes 3 n"]:
        """Displacements [m] of forces [N]."""
        found = self._factor.solve(np.ascontiguousarray(forces.reshape(-1, forces.shape[2])))
        found -= self._moved @ (self._gram @ (self._rigid.T @ found))
        return found.reshape(forces.shape)
