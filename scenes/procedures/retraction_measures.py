"""What a planner reads off a retraction: tumour displacement, grasper force, strain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..plain_words import name_words, part_words, position_words
from .base import Curve, Number
from .region_pieces import pieces_of
from .solving import MM_PER_M, ElementFields

if TYPE_CHECKING:
    from ...meshing.mesh import TetMesh
    from ..session import Session
    from .retraction import Lift, RetractionOptions


def retraction_numbers(
    mesh: TetMesh, lift: Lift, options: RetractionOptions, elements: Sequence[ElementFields]
) -> tuple[Number, ...]:
    """All numbers of the report, displacements counted from the scanned shape.

    `elements` are those of `solving.element_fields`.
    """
    moved = _moved(mesh, lift, lift.solution.states[-1])
    return (
        *_grasp_numbers(mesh, lift, moved),
        *_target_numbers(mesh, moved, options.target),
        Number(
            "largest_displacement_mm",
            "Largest displacement",
            float(np.linalg.norm(moved, axis=1).max()),
            "mm",
            "of any point of the organ",
        ),
        *_strain_numbers(mesh, options, elements),
        *_shape_numbers(lift, elements),
    )


def _grasp_numbers(mesh: TetMesh, lift: Lift, moved: NDArray) -> tuple[Number, ...]:
    """What the grasper does: how far it lifts, what it holds, and the force this takes."""
    lifted = np.linalg.norm(moved[mesh.node_sets["grasp"]].mean(axis=0))
    force = np.linalg.norm(grasper_force(lift, lift.solution.states[-1]))
    return (
        Number(
            "lift_mm",
            "Lift of the grasped edge",
            float(lifted),
            "mm",
            "of the patch in the jaws, on average, from start to end; the curves count the jaws' travel along their "
            "path, which is longer; the largest displacement is of one single point",
        ),
        _patch_number(mesh),
        Number("grasper_force_N", "Grasper force", float(force), "N", "at the end of the path"),
    )


def _strain_numbers(mesh: TetMesh, options: RetractionOptions, elements: Sequence[ElementFields]) -> tuple[Number, ...]:
    """How far the tissue is stretched: nearly the most, the most, and how much of it beyond a limit."""
    from ...engine.tissue import fields

    strain, before, weight = elements[-1].strain, elements[0].strain, mesh.volumes
    beyond = float(weight[strain > options.strain_limit].sum() / 1000)
    return (
        Number(
            "strain_p99",
            "Tensile strain, 99th percentile",
            100 * fields.weighted_percentile(strain, weight, 99),
            "%",
            "largest principal Green–Lagrange strain from the load-free shape; 1 % of the volume lies above; gravity "
            f"alone gives {100 * fields.weighted_percentile(before, weight, 99):.0f} %",
        ),
        Number(
            "strain_peak",
            "Tensile strain, peak",
            100 * float(strain.max()),
            "%",
            "one element, beside the grasper; depends on the mesh",
        ),
        Number(
            "overstrained_ml",
            f"Volume strained beyond {100 * options.strain_limit:.0f} %",
            beyond,
            "mL",
            "tensile strain from the load-free shape; the limit was chosen for counting, it is no limit of safety",
        ),
    )


def _shape_numbers(lift: Lift, elements: Sequence[ElementFields]) -> tuple[Number, ...]:
    """The organ as a whole: its volume, and what gravity alone does to it."""
    from ...engine.tissue import fields

    rest = np.asarray(fields.element_volumes(lift.problem.model))
    hung, held = (float(rest @ elements[number].volume_ratio) for number in (0, -1))
    return (
        Number(
            "volume_change",
            "Volume change",
            100 * (held / hung - 1),
            "%",
            "of the whole organ by the lift, from the scanned shape; near zero for tissue",
        ),
        Number(
            "sag_mm",
            "Sag under gravity",
            lift.hanging.sag_mm,
            "mm",
            "largest distance of the load-free shape from the scanned one",
        ),
    )


def _patch_number(mesh: TetMesh) -> Number:
    corners = mesh.points[mesh.facet_sets["grasp"]]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    x, y, z = (float(v) for v in (areas[:, None] * corners.mean(axis=1)).sum(axis=0) / areas.sum())
    part = part_words((x, y, z), mesh.points.min(axis=0).tolist(), mesh.points.max(axis=0).tolist())
    text = f"its middle lies in {part} of the organ: {position_words((x, y, z))}"
    return Number("grasped_area_cm2", "Grasped surface", float(areas.sum() / 100), "cm²", text, (x, y, z))


def retraction_curves(mesh: TetMesh, lift: Lift, options: RetractionOptions) -> tuple[Curve, ...]:
    """Grasper force and target displacement over the way of the jaws; the tissue in them slips behind a little."""
    states = lift.solution.states
    moved = [_moved(mesh, lift, state) for state in states]
    x, turns = _jaws_travel(lift)
    force = [float(np.linalg.norm(grasper_force(lift, state))) for state in states]
    curves = [Curve("Grasper force over the travel of the jaws", _TRAVEL, "mm", "force", "N", x, tuple(force), turns)]
    for number, nodes in enumerate(pieces_of(mesh, options.target), start=1):
        y = tuple(float(np.linalg.norm(_centroid_shift(mesh, m, nodes))) for m in moved)
        name = f"Displacement of {name_words(options.target)} {number}"
        curves.append(Curve(name, _TRAVEL, "mm", "displacement", "mm", x, y, turns))
    return tuple(curves)


_TRAVEL = "travel of the jaws"


def _jaws_travel(lift: Lift) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """mm the jaws have gone at each state, along their path, and at its corners; the first leg stands still."""
    path = np.asarray(lift.grip.path, dtype=float) * MM_PER_M
    gone = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0, prepend=np.zeros((1, 3))), axis=1))])
    shares = np.linspace(0.0, 1.0, len(gone))
    x = np.interp([float(state.load_fraction) for state in lift.solution.states], shares, gone)
    legs = np.diff(path, axis=0, prepend=np.zeros((1, 3)))
    legs = legs / np.maximum(np.linalg.norm(legs, axis=1), 1e-12)[:, None]
    bends = np.linalg.norm(np.diff(legs, axis=0), axis=1) > 1e-6
    corners = tuple(float(at) for at, bend in zip(gone[1:-1], bends, strict=True) if bend and 0 < at < gone[-1])
    return tuple(x.tolist()), corners


def grasper_force(lift: Lift, state) -> NDArray[np.float64]:
    """(3,) N that the grasper exerts on the tissue."""
    from ...engine.tissue import fields

    return fields.force_of(lift.problem, state, lift.grip)


def uncertain_outline(session: Session, mesh: TetMesh, region: str) -> list[str]:
    """That a tumour which the built-in segmenter outlined in a patient moves no more exactly than it is outlined."""
    scene = session.scene
    given = scene.segmentation.labels is not None or scene.segmentation.segmenter != "classical"
    if given or scene.patient.scan == "phantom" or region not in mesh.region_names.values():
        return []
    return [
        f"The outline of the {name_words(region)} was found automatically, as dark lesions in the organ, and is less "
        "certain than the organ's own: compare it in the slices; its displacement is not good to three figures."
    ]


def _target_numbers(mesh: TetMesh, moved: NDArray, region: str) -> list[Number]:
    numbers = []
    for index, elements in enumerate(pieces_of(mesh, region), start=1):
        volume = float(mesh.volumes[elements].sum() / 1000)
        shift = _centroid_shift(mesh, moved, elements)
        key = f"{region}_{index}"
        title = f"{name_words(region).capitalize()} {index}"
        left, posterior, superior = shift
        text = (
            f"{_way(-left, 'right', 'left')}, {_way(-posterior, 'forward', 'back')}, {_way(superior, 'up', 'down')}; "
            f"volume {volume:.1f} mL"
        )
        numbers.append(
            Number(f"{key}_displacement_mm", f"{title}: displacement", float(np.linalg.norm(shift)), "mm", text)
        )
    return numbers


def _centroid_shift(mesh: TetMesh, moved: NDArray, elements: NDArray) -> NDArray[np.float64]:
    """(3,) volume-weighted mean displacement of some elements."""
    weight = mesh.volumes[elements]
    return (moved[mesh.tetrahedra[elements]].mean(axis=1) * weight[:, None]).sum(axis=0) / weight.sum()


def _moved(mesh: TetMesh, lift: Lift, state) -> NDArray[np.float64]:
    """(N, 3) mm from the scanned shape, at the mesh's own nodes."""
    return lift.hanging.gap_mm + np.asarray(state.displacement)[: len(mesh.points)] * MM_PER_M


def _way(value: float, positive: str, negative: str) -> str:
    return f"{abs(value):.1f} mm {positive if value >= 0 else negative}"
