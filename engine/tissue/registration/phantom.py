"""Cases of known truth: an organ deformed by a model that the registration does not have.

The truth differs from what `register` assumes in its mesh, its element (quadratic), its stiffness (a random field and a
stiff tumour), its compressibility, and in what deforms it: pads or packs that push the underside (`pushes`), a held
patch where the organ grows onto the diaphragm, soft neighbours all around but at the front, which is exposed, weight in
a new direction and gas pressure on the front. None of these is a smooth traction field. Axes are LPS: the front is −y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ....imaging.errors import SolverError
from ....meshing.mesh import TetMesh
from ..fitting.location import locate
from ..fitting.matern import element_modes
from ..loads import Gravity, Pressure
from ..materials import NeoHookean
from ..model import MM, Model
from ..problem import Problem
from ..static import solve
from ..supports import Fixed
from .camera import geometry, seen_points
from .outline import Outline
from .pushes import PUSHES, Pushes, Skin


@dataclass(frozen=True, eq=False)
class Case:
    """One case.

    Attributes:
        points: (n, 3) m, seen in the theatre's frame.
        targets: (k, 3) m, inside, preoperative.
        moved: (k, 3) m, where they are now, in the theatre's frame.
        deformation: largest displacement of the organ before the pose [m].
        visible: share of the surface's area that was seen.
        noise: standard deviation of each coordinate of the points [m].
        rigid_best: RMS distance of the targets [m] that the best rigid motion (found with the truth) leaves.
    """

    points: Float[np.ndarray, "n 3"]
    targets: Float[np.ndarray, "k 3"]
    moved: Float[np.ndarray, "k 3"]
    deformation: float
    visible: float
    noise: float
    rigid_best: float


class Frame(NamedTuple):
    """What acts on one case at scale 1: a held patch, pushes, acceleration [m/s²] and gas pressure [Pa]."""

    held: NDArray
    pushes: Pushes
    gravity: NDArray
    gas: float


class Truth:
    """Deforms a mesh in ways drawn by chance; one model serves many cases."""

    def __init__(
        self,
        mesh: TetMesh,
        outline: tuple[NDArray, NDArray],
        *,
        young: float = 6000.0,
        element: str = "T10",
        count: int = 120,
        pushed_by: str = "pads",
    ) -> None:
        """The organ's mesh, its fine surface (vertices (V, 3) m and triangles (F, 3)), and a kind of `pushes`.

        Raises:
            SolverError: no such kind; a surface that the mesh does not carry.
        """
        if pushed_by not in PUSHES:
            raise SolverError(f"nothing pushes as {pushed_by!r}", where="phantom", advice=f"Give one of {list(PUSHES)}")
        self.mesh, self.young, self.element, self.pushed_by = mesh, young, element, PUSHES[pushed_by]
        self.elements = mesh.points[mesh.tetrahedra].mean(axis=1) * MM
        plain = Model.from_mesh(mesh, {"*": NeoHookean.from_young(young, 0.48)})
        self.outline = Outline.carried_by(plain, *outline)
        self.field_basis, _ = element_modes(plain, 0.05, 30)
        facets = np.asarray(mesh.facet_sets["surface"])
        self.skin = Skin(facets, *geometry(mesh.points[facets] * MM)[:2])
        some = self.skin.centre[:: max(len(facets) // 400, 1)]
        deep = np.flatnonzero(np.linalg.norm(self.elements[:, None] - some[None], axis=2).min(axis=1) > 0.012)
        chosen = np.random.default_rng(1).choice(deep, min(count, len(deep)), replace=False)
        self.targets = self.elements[chosen]

    def case(self, seed: int, *, deformation: float, visible: float, noise: float, points: int = 600) -> Case:
        """One case whose largest displacement is about `deformation` [m].

        Raises:
            SolverError: the truth itself cannot be computed.
        """
        draw = np.random.default_rng(seed)
        model, displacement = self._scaled(self._stiffness(draw), self._frame(draw), deformation)
        turn = Rotation.from_rotvec(draw.uniform(-1, 1, 3) * np.radians(7.0))
        shift = draw.uniform(-0.012, 0.012, 3)
        middle = np.asarray(model.points).mean(axis=0)

        def posed(place: NDArray) -> NDArray:
            return turn.apply(place - middle) + middle + shift

        nodes, weights, _ = locate(model, self.targets, "phantom")
        targets = posed(self.targets + np.einsum("nm,nmi->ni", weights, displacement[nodes]))
        rest, triangles = self.outline.points, self.outline.triangles
        position = posed(Outline.carried_by(model, rest, triangles).moved(displacement))
        seen, share = seen_points(draw, rest, triangles, position, visible=visible, count=points, noise=noise)
        largest = float(np.linalg.norm(displacement, axis=1).max())
        return Case(seen, self.targets, targets, largest, share, noise, _rigid_rest(self.targets, targets))

    def _scaled(self, young: NDArray, frame: Frame, deformation: float) -> tuple[Model, NDArray]:
        """The deformed organ, at a scale of the frame found in four tries."""
        scale, moved = 100.0 * deformation, None
        for _ in range(4):
            moved = self._deformed(young, frame, scale)
            largest = float(np.linalg.norm(moved[1], axis=1).max())
            if abs(largest / deformation - 1.0) < 0.05:
                break
            scale *= float(np.clip(deformation / largest, 0.2, 3.0))
        assert moved is not None
        return moved

    def _stiffness(self, draw: np.random.Generator) -> NDArray:
        """Young's modulus of each element [Pa]: a random field, and a tumour five times as stiff."""
        log_factor = 0.35 * self.field_basis @ draw.standard_normal(self.field_basis.shape[1])
        tumour = self.targets[draw.integers(len(self.targets))]
        inside = np.linalg.norm(self.elements - tumour, axis=1) < 0.018
        return self.young * np.exp(log_factor) * np.where(inside, 5.0, 1.0)

    def _frame(self, draw: np.random.Generator) -> Frame:
        held = self.skin.patch(self.skin.centre[draw.choice(self.skin.back)], 0.045)
        pushes = self.pushed_by.drawn(self.skin, held, draw)
        gravity = draw.standard_normal(3)
        gravity = gravity / np.linalg.norm(gravity) * draw.uniform(0.0, 2.0)
        return Frame(held, pushes, gravity, float(draw.uniform(0.0, 100.0)))

    def _deformed(self, young: NDArray, frame: Frame, scale: float) -> tuple[Model, NDArray]:
        skin, mesh = self.skin, self.mesh
        front, back = skin.facets[skin.exposed], skin.facets[~skin.exposed]
        named = {"held": skin.facets[frame.held], "front": front, "back": back}
        sets = {**mesh.facet_sets, **frame.pushes.sets(skin), **named}
        mesh = TetMesh(mesh.points, mesh.tetrahedra, mesh.region, mesh.region_names, sets, mesh.node_sets)
        material = NeoHookean(young / 2.96, young * 0.48 / (1.48 * 0.04))
        model = Model.from_mesh(mesh, {"*": material}, element=self.element)
        acting = frame.pushes.acting(scale)
        acting["supports"] = [Fixed("held"), *acting["supports"]]
        loads = [Gravity((scale * frame.gravity).tolist()), Pressure("front", scale * frame.gas)]
        problem = _conservative(model.problem(loads=loads, **acting))
        solution = solve(problem, load_steps=2, tolerance=1e-6, check_stability=False)
        if not solution.converged:
            raise SolverError("the truth cannot be computed", where="phantom", advice="Use another seed")
        return model, np.asarray(solution.final.displacement)


def _conservative(problem: Problem) -> Problem:
    """Pressure on an open front without its unsymmetric part, which a few ten pascals do not need."""
    loads = tuple(
        Pressure(load.facets, float(load.pressure), symmetric=True) if isinstance(load, Pressure) else load
        for load in problem.loads
    )
    return eqx.tree_at(lambda p: p.loads, problem, loads)


def _rigid_rest(before: NDArray, after: NDArray) -> float:
    """RMS distance after the best rigid motion of paired points (Kabsch 1976)."""
    left, right = before - before.mean(axis=0), after - after.mean(axis=0)
    turn, _ = Rotation.align_vectors(right, left)
    return float(np.sqrt(((turn.apply(left) - right) ** 2).sum(axis=1).mean()))
