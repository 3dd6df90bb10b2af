"""The anatomy that the tetrahedra carry along, and where it reaches beyond them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .plain_words import name_words

if TYPE_CHECKING:
    from ..meshing.mesh import Embedding, SurfaceMesh
    from .session import Session

FAR = 0.5
"""Mean edge lengths beyond the tetrahedra from which a vertex is told of: about there its weights are clamped, and it
no longer goes exactly where a linear motion would take it (`meshing.embedding`)."""


def carried_surfaces(session: Session) -> dict[str, tuple[SurfaceMesh, Embedding]]:
    """The surfaces that move with the mesh of the outcome, and what carries each vertex; found once per session."""
    from ..meshing.embedding import embed

    assert session.outcome is not None
    there = [name for name in session.outcome.deforming if name in session.surfaces]
    for name in there:
        if name not in session.embeddings:
            session.embeddings[name] = embed(session.surfaces[name].points, session.outcome.mesh)
    return {name: (session.surfaces[name], session.embeddings[name]) for name in there}


def carried_record(session: Session, edge_mm: float) -> list[dict[str, Any]]:
    """How far each carried surface reaches beyond the tetrahedra, whose mean edge is `edge_mm`; ready for JSON.

    Keys: name, vertices, outside (vertices beyond the tetrahedra at all), far (those beyond by `FAR` edges and more),
    farthest_mm, remark (empty where none is far).
    """
    found = []
    for name, (_, embedding) in carried_surfaces(session).items():
        beyond = np.asarray(embedding.distance)
        far, farthest = int((beyond > FAR * edge_mm).sum()), float(beyond.max(initial=0.0))
        found.append(
            {
                "name": name,
                "vertices": len(beyond),
                "outside": int((beyond > 0).sum()),
                "far": far,
                "farthest_mm": farthest,
                "remark": _remark(name, farthest, far, len(beyond)) if far else "",
            }
        )
    return found


def _remark(name: str, farthest: float, far: int, vertices: int) -> str:
    share = 100 * far / vertices
    much = f"{share:.2g} %" if share >= 0.01 else "under 0.01 %"
    return (
        f"the surface of the {name_words(name)} reaches up to {farthest:.1f} mm beyond the tetrahedra ({much} of its "
        "points are far): thinner than they are there, or a piece apart; carried by the nearest"
    )
