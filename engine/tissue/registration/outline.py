"""A fine surface carried by a coarse model: the anatomy as segmented, on elements as large as mechanics allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..fitting.closest import closest_on_surface
from ..fitting.location import locate
from ..fitting.observation import refuse_far, vectors
from ..model import Model

REACH = 2.0
"""Element sizes that a vertex may lie outside of the body; its weights are then extrapolated."""

ONE_ORGAN = "Make it with Outline.carried_by from the same organ's mesh and surface"


def flat(facets: Int[NDArray, "F n"]) -> Int[np.ndarray, "T 3"]:
    """Triangles of the corners of facets with 3, 4 or 6 nodes."""
    return facets[:, :3] if facets.shape[1] != 4 else facets[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)


@dataclass(frozen=True, eq=False)
class Outline:
    """Triangles whose vertices move with the body: x = X + Σ w u.

    A body's own facets are as coarse as its elements (on a liver of 3,000 tetrahedra they lie 1 to 2 mm off the organ);
    what a camera or a probe sees is compared with this surface instead.

    Attributes:
        points: (V, 3) m, in the model's frame.
        triangles: (F, 3), outward.
        nodes, weights: (V, m) of the element that carries each vertex.
    """

    points: Float[np.ndarray, "V 3"]
    triangles: Int[np.ndarray, "F 3"]
    nodes: Int[np.ndarray, "V m"]
    weights: Float[np.ndarray, "V m"]

    @classmethod
    def carried_by(cls, model: Model, points: Float[NDArray, "V 3"], triangles: Int[NDArray, "F 3"]) -> Outline:
        """The surface on the model.

        Args:
            model: the body.
            points: (V, 3) m.
            triangles: (F, 3), outward; for instance those of `surface_from_mask`.

        Raises:
            SolverError: NaN, triangles that name no vertex, or a surface far from the body.
        """
        place = vectors(points, "vertices", "outline")
        faces = np.asarray(triangles)
        if faces.ndim != 2 or faces.shape[1] != 3 or len(faces) == 0:
            raise SolverError(f"triangles must be (F, 3), not {faces.shape}", where="outline")
        if faces.dtype.kind not in "iu":
            raise SolverError("triangles must be whole numbers", where="outline", advice="Give indices of vertices")
        bad = faces[(faces < 0) | (faces >= len(place))]
        if bad.size:
            raise SolverError(
                f"a triangle names vertex {int(bad[0])}, there are {len(place)}",
                where="outline",
                advice="Count vertices from 0",
            )
        refuse_far(place, np.asarray(model.points), "outline", reach=0.2)
        nodes, weights, _ = locate(model, place, "outline", outside=REACH)
        outline = cls(place, faces.astype(np.int64), nodes, weights)
        outline.check(model)
        return outline

    @classmethod
    def of_facets(cls, model: Model, surface: str) -> Outline:
        """The body's own facets, by their corners: as coarse as its elements."""
        used, triangles = np.unique(flat(model.facets_of(surface)), return_inverse=True)
        points = np.asarray(model.points)[used]
        return cls(points, triangles.reshape(-1, 3), used[:, None], np.ones((len(used), 1)))

    def check(self, model: Model) -> None:
        """The vertices lie where this model's elements carry them.

        Raises:
            SolverError: they do not: another model's, or too far outside.
        """
        if int(self.nodes.max()) < model.nodes:
            carried = np.einsum("vm,vmi->vi", self.weights, np.asarray(model.points)[self.nodes])
            gap = np.linalg.norm(carried - self.points, axis=1)
            if gap.max() <= 1e-6 * float(np.ptp(self.points, axis=0).max()):
                return
            where = f"vertex {int(gap.argmax())} at {np.round(self.points[gap.argmax()], 4)} m"
            raise SolverError(f"the outline is not carried by this body: {where}", where="outline", advice=ONE_ORGAN)
        raise SolverError("the outline belongs to another model", where="outline", advice=ONE_ORGAN)

    def moved(self, displacement: Float[NDArray, "rows 3"]) -> Float[np.ndarray, "V 3"]:
        """Where the vertices are [m]."""
        return self.points + np.einsum("vm,vmi->vi", self.weights, np.asarray(displacement)[self.nodes])

    def nearest(
        self, displacement: Float[NDArray, "rows 3"], points: Float[NDArray, "n 3"]
    ) -> tuple[NDArray, NDArray, Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
        """Of the place nearest to each point: nodes and weights (n, 3 m), position at rest [m], unit normal now."""
        corners = self.moved(displacement)[self.triangles]
        which, bary = closest_on_surface(points, corners)
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[which]
        normal /= np.maximum(np.linalg.norm(normal, axis=1), 1e-300)[:, None]
        vertices = self.triangles[which]
        nodes = self.nodes[vertices].reshape(len(points), -1)
        weights = (bary[:, :, None] * self.weights[vertices]).reshape(len(points), -1)
        return nodes, weights, np.einsum("nk,nki->ni", bary, self.points[vertices]), normal
