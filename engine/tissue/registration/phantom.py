"""Cases of known truth: an organ deformed by a model that the registration does not have.

The truth differs from what `register` assumes in its mesh, its element (quadratic), its stiffness (a random field and a
stiff tumour), its compressibility, and in what deforms it: pads that push the underside by a prescribed displacement,
a held patch where the organ grows onto the diaphragm, soft neighbours all around but at the front, which is exposed,
weight in a new direction and gas pressure on the front. None of these is a smooth traction field. Axes are LPS: the
front is −y.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from ..prescribed import Prescribed
from ..problem import Problem
from ..static import solve
from ..supports import Fixed, Springs
from .outline import Outline

OUTLIERS = 0.03
"""Share of the points that lie 5 to 20 mm off."""


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
    ) -> None:
        """The organ's mesh, and its fine surface: vertices (V, 3) m and triangles (F, 3)."""
        self.young, self.element = young, element
        self.mesh = mesh
        centre = mesh.points[mesh.tetrahedra].mean(axis=1) * MM
        plain = Model.from_mesh(mesh, {"*": NeoHookean.from_young(young, 0.48)})
        self.outline = Outline.carried_by(plain, *outline)
        self.field_basis, _ = element_modes(plain, 0.05, 30)
        facets = mesh.facet_sets["surface"]
        self.facets = np.asarray(facets)
        self.centre, self.normal, _ = _geometry(mesh.points[self.facets] * MM)
        depth = np.linalg.norm(centre[:, None] - self.centre[None, :: max(len(self.centre) // 400, 1)], axis=2).min(1)
        deep = np.flatnonzero(depth > 0.012)
        chosen = np.random.default_rng(1).choice(deep, min(count, len(deep)), replace=False)
        self.targets = centre[chosen]
        self.elements = centre

    def case(self, seed: int, *, deformation: float, visible: float, noise: float, points: int = 600) -> Case:
        """One case whose largest displacement is about `deformation` [m].

        Raises:
            SolverError: the truth itself cannot be computed.
        """
        draw = np.random.default_rng(seed)
        factor = self._stiffness(draw)
        frame = self._frame(draw)
        scale, moved = 100.0 * deformation, None
        for _ in range(4):
            moved = self._deformed(factor, frame, scale)
            largest = float(np.linalg.norm(moved[1], axis=1).max())
            if abs(largest / deformation - 1.0) < 0.05:
                break
            scale *= float(np.clip(deformation / largest, 0.2, 3.0))
        assert moved is not None
        model, displacement = moved
        turn = Rotation.from_rotvec(draw.uniform(-1, 1, 3) * np.radians(7.0))
        shift = draw.uniform(-0.012, 0.012, 3)
        middle = np.asarray(model.points).mean(axis=0)

        def posed(place: NDArray) -> NDArray:
            return turn.apply(place - middle) + middle + shift

        nodes, weights, _ = locate(model, self.targets, "phantom")
        targets = posed(self.targets + np.einsum("nm,nmi->ni", weights, displacement[nodes]))
        carried = Outline.carried_by(model, self.outline.points, self.outline.triangles)
        seen, share = self._seen(draw, posed(carried.moved(displacement)), visible, points, noise)
        return Case(
            seen,
            self.targets,
            targets,
            float(np.linalg.norm(displacement, axis=1).max()),
            share,
            noise,
            _rigid_rest(self.targets, targets),
        )

    def _stiffness(self, draw: np.random.Generator) -> NDArray:
        """Young's modulus of each element [Pa]: a random field, and a tumour five times as stiff."""
        log_factor = 0.35 * self.field_basis @ draw.standard_normal(self.field_basis.shape[1])
        tumour = self.targets[draw.integers(len(self.targets))]
        inside = np.linalg.norm(self.elements - tumour, axis=1) < 0.018
        return self.young * np.exp(log_factor) * np.where(inside, 5.0, 1.0)

    def _frame(self, draw: np.random.Generator) -> dict:
        """Which patches are held and pushed, and how."""
        back = np.flatnonzero(self.normal[:, 1] > 0.3)
        held = self._patch(self.centre[draw.choice(back)], 0.045)
        pads = []
        for _ in range(int(draw.integers(1, 4))):
            for _ in range(50):
                place = self.centre[draw.choice(back)]
                chosen = self._patch(place, draw.uniform(0.018, 0.03))
                taken = [held, *(patch for patch, _ in pads)]
                if min(np.linalg.norm(self.centre[one] - place, axis=1).min() for one in taken) > 0.05:
                    push = -self.normal[chosen].mean(axis=0) + 0.3 * draw.standard_normal(3)
                    pads.append((chosen, push / np.linalg.norm(push) * draw.uniform(0.5, 1.0)))
                    break
        gravity = draw.standard_normal(3)
        return {
            "held": held,
            "pads": pads,
            "gravity": gravity / np.linalg.norm(gravity) * draw.uniform(0.0, 2.0),
            "gas": draw.uniform(0.0, 100.0),
        }

    def _patch(self, place: NDArray, radius: float) -> NDArray:
        chosen = np.flatnonzero(np.linalg.norm(self.centre - place, axis=1) < radius)
        return chosen if chosen.size else np.array([np.linalg.norm(self.centre - place, axis=1).argmin()])

    def _deformed(self, young: NDArray, frame: dict, scale: float) -> tuple[Model, NDArray]:
        pads = {f"pad_{k}": self.facets[chosen] for k, (chosen, _) in enumerate(frame["pads"])}
        exposed = self.normal[:, 1] < -0.3
        front, back = self.facets[exposed], self.facets[~exposed]
        sets = {**self.mesh.facet_sets, **pads, "held": self.facets[frame["held"]], "front": front, "back": back}
        mesh = TetMesh(
            self.mesh.points, self.mesh.tetrahedra, self.mesh.region, self.mesh.region_names, sets, self.mesh.node_sets
        )
        material = NeoHookean(young / 2.96, young * 0.48 / (1.48 * 0.04))
        model = Model.from_mesh(mesh, {"*": material}, element=self.element)
        problem = model.problem(
            loads=[Gravity((scale * frame["gravity"]).tolist()), Pressure("front", scale * frame["gas"])],
            supports=[Fixed("held"), Springs("back", 1e4, 0.0)],
            prescribed=[
                Prescribed(f"pad_{k}", (0.012 * scale * push).tolist()) for k, (_, push) in enumerate(frame["pads"])
            ],
        )
        solution = solve(_conservative(problem), load_steps=2, tolerance=1e-6, check_stability=False)
        if not solution.converged:
            raise SolverError("the truth cannot be computed", where="phantom", advice="Use another seed")
        return model, np.asarray(solution.final.displacement)

    def _seen(
        self, draw: np.random.Generator, position: NDArray, visible: float, count: int, noise: float
    ) -> tuple[NDArray, float]:
        """Points on a connected part of the front that holds `visible` of the area; a few are outliers."""
        faces = self.outline.triangles
        centre, normal, area = _geometry(self.outline.points[faces])
        start = centre[draw.choice(np.flatnonzero(normal[:, 1] < -0.5))]
        distance = np.linalg.norm(centre - start, axis=1) + 0.06 * np.maximum(normal[:, 1] + 0.2, 0.0)
        order = np.argsort(distance)
        patch = order[: int(np.searchsorted(np.cumsum(area[order]), visible * area.sum())) + 1]
        chosen = draw.choice(patch, count, p=area[patch] / area[patch].sum())
        place = np.einsum("nk,nki->ni", draw.dirichlet(np.ones(3), count), position[faces[chosen]])
        place = place + noise * draw.standard_normal(place.shape)
        wrong = draw.random(count) < OUTLIERS
        away = draw.standard_normal((count, 3))
        away *= draw.uniform(0.005, 0.02, (count, 1)) / np.linalg.norm(away, axis=1, keepdims=True)
        return place + wrong[:, None] * away, float(area[patch].sum() / area.sum())


def _geometry(corners: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Centre, unit normal and area of triangles (F, 3, 3)."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.linalg.norm(normal, axis=1)
    return corners.mean(axis=1), normal / double[:, None], double / 2


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
