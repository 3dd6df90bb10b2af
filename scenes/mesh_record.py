"""The mesh in result.json: size, quality, and how well each region keeps the volume of its labels."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .carried_surfaces import carried_record
from .procedures import procedure

if TYPE_CHECKING:
    from ..meshing.fidelity import Fidelity
    from ..meshing.mesh import TetMesh
    from ..meshing.quality import QualityTable
    from .schema import Part
    from .session import Session

LOSS_PERCENT = 5.0
"""A region that lost or gained more than this carries a remark."""
MOST_LISTED, MOST_NAMED = 50, 5
"""Most lost pieces of a region whose volumes are kept, and most that its remark names."""


def mesh_record(session: Session) -> dict[str, Any]:
    """The mesh of a session's outcome, ready for JSON.

    Keys: name, nodes, tetrahedra, surface_crossings (pairs of boundary facets that cross; 0 in a sound mesh),
    region_volumes_ml, regions (volume of labels against tetrahedra), quality (figures
    and histograms), worst (the five poorest elements), carried (see `carried_surfaces.carried_record`).
    """
    from ..meshing.crossings import crossing_faces
    from ..meshing.quality import quality
    from ..meshing.sets import boundary_facets

    assert session.outcome is not None
    mesh = session.outcome.mesh
    table = quality(mesh)
    regions = region_volumes(session)
    summary = table.summary()
    carried = carried_record(session, summary["edge_mean_mm"])
    _add_remarks(regions, carried)
    return {
        "name": session.scene.name,
        "nodes": len(mesh.points),
        "tetrahedra": len(mesh.tetrahedra),
        "surface_crossings": len(crossing_faces(mesh.points, boundary_facets(mesh.tetrahedra)[0])),
        "region_volumes_ml": {one["name"]: one["volume_ml"] for one in regions},
        "regions": regions,
        "quality": {
            **summary,
            **{measure: _histogram(table, measure) for measure in ("radius_ratio", "minimum_dihedral")},
        },
        "worst": table.worst(5),
        "carried": carried,
    }


def _add_remarks(regions: list[dict[str, Any]], carried: list[dict[str, Any]]) -> None:
    """A carried surface is remarked on at the region of its name, or else at the first."""
    by_name = {one["name"]: one for one in regions}
    for one in carried:
        place = by_name.get(one["name"], regions[0])
        place["remark"] = "; ".join(filter(None, (place["remark"], one["remark"])))


def region_volumes(session: Session) -> list[dict[str, Any]]:
    """Each region's volume in the mesh beside that of its voxels; None where the labels do not show it.

    Connected pieces of the labels that got no tetrahedra are counted and summed, and the largest listed by volume.
    """
    assert session.outcome is not None
    mesh, volumes = session.outcome.mesh, session.outcome.mesh.volumes
    options = procedure(session.scene.procedure).parse(session.scene)
    kept = _fidelity(session, options)
    labelled = _label_volumes_ml(session, options, kept)
    found = []
    for label, name in mesh.region_names.items():
        volume, of_labels = float(volumes[mesh.region == label].sum() / 1000), labelled.get(name)
        difference = 100 * (volume / of_labels - 1) if of_labels else None
        lost = [round(piece.volume_mm3 / 1000, 4) for piece in kept[name].lost] if name in kept else []
        found.append(
            {
                "name": name,
                "label_volume_ml": of_labels,
                "volume_ml": volume,
                "difference_percent": difference,
                "lost_pieces_ml": lost[:MOST_LISTED],
                "lost_pieces": len(lost),
                "lost_ml": sum(lost),
                "remark": "; ".join(filter(None, (_remark(difference), _lost(lost)))),
            }
        )
    return found


def mesh_seed(session: Session) -> int | None:
    """The seed of the mesher's shuffles; None for meshes that are made without any."""
    from ..meshing.tetrahedra import tetrahedralize

    if not _regions(procedure(session.scene.procedure).parse(session.scene)):
        return None
    # No procedure gives one: it is the mesher's own.
    return inspect.signature(tetrahedralize).parameters["seed"].default


def _remark(difference: float | None) -> str:
    if difference is None:
        return "not in the labels: made from a thickness"
    if abs(difference) <= LOSS_PERCENT:
        return ""
    what = "lost" if difference < 0 else "gained"
    return f"{what} more than {LOSS_PERCENT:g} %: finer than the tetrahedra; smaller ones keep more"


def _lost(volumes_ml: list[float]) -> str:
    """Pieces without tetrahedra in words: the largest by volume, the rest together."""
    if not volumes_ml:
        return ""
    named = [f"{v:.2g}" for v in volumes_ml[:MOST_NAMED]]
    rest = volumes_ml[MOST_NAMED:]
    sizes = f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 and not rest else ", ".join(named)
    others = f" mL and {len(rest)} smaller ones ({sum(rest):.2g} mL together)" if rest else " mL"
    pieces = "piece" if len(volumes_ml) == 1 else "pieces"
    return f"{pieces} of {sizes}{others} got no tetrahedra: finer than they are; smaller ones keep more"


def _regions(options: Part) -> Mapping[str, Any]:
    return getattr(options, "regions", {})


def _fidelity(session: Session, options: Part) -> dict[str, Fidelity]:
    """How well each region made of labels is kept, by name; empty for meshes that are made otherwise."""
    from ..meshing.fidelity import fidelity

    assert session.outcome is not None
    mesh = session.outcome.mesh
    regions = {name: one.labels for name, one in _regions(options).items() if name in mesh.region_names.values()}
    return {one.name: one for one in fidelity(mesh, session.labels, regions)} if regions else {}


def _label_volumes_ml(session: Session, options: Part, kept: Mapping[str, Fidelity]) -> dict[str, float]:
    """Volume of the voxels of each region of the mesh that is made of labels."""
    assert session.outcome is not None
    mesh, labels = session.outcome.mesh, session.labels
    if kept:
        return {name: one.label_volume_mm3 / 1000 for name, one in kept.items()}
    clot = getattr(options, "thrombus", ())
    mask = labels.mask(clot) if clot else np.zeros(1, dtype=bool)
    if "aortic_thrombus" not in mesh.region_names.values() or not mask.any():
        return {}
    count = _within(mesh, labels.grid.points_from_index(np.argwhere(mask)))
    return {"aortic_thrombus": float(count * labels.grid.voxel_volume / 1000)}


def _within(mesh: TetMesh, points: np.ndarray) -> int:
    """How many points lie in the stretch that was computed, whose ends lie along the axes."""
    return int(((points >= mesh.points.min(axis=0)) & (points <= mesh.points.max(axis=0))).all(axis=1).sum())


def _histogram(table: QualityTable, measure: str) -> dict[str, list[float]]:
    counts, edges = table.histogram(measure)
    return {"counts": counts.tolist(), "edges": edges.tolist()}
