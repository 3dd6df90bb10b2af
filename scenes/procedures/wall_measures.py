"""What is read off a vessel wall under pressure: stress, displacement, diameters, volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from .base import Curve, Number
from .solving import MM_PER_M, PA_PER_KPA

if TYPE_CHECKING:
    from ...engine.tissue.model import Model
    from ...engine.tissue.problem import Problem
    from ...engine.tissue.solution import Solution
    from ...imaging.volume import LabelMap
    from ...meshing.mesh import TetMesh
    from .vessel_wall import VesselWallOptions

NOT_A_PREDICTOR = "no rupture predictor by itself"


def wall_numbers(
    mesh: TetMesh, problem: Problem, solution: Solution, options: VesselWallOptions, labels: LabelMap
) -> tuple[Number, ...]:
    """All numbers of the report."""
    from ...engine.tissue import fields

    model, final = problem.model, solution.final
    counted = away_from_ends(mesh, options.exclude_from_ends_mm)
    wall = counted & region_mask(mesh, "aortic_wall")
    stress = np.asarray(fields.maximum_principal_stress(model, final)) / PA_PER_KPA
    mises = np.asarray(fields.von_mises_stress(model, final)) / PA_PER_KPA
    strain = np.asarray(fields.principal_strains(model, final)).max(axis=1)
    peak = int(np.flatnonzero(wall)[np.argmax(stress[wall])])
    where = mesh.points[mesh.tetrahedra[peak]].mean(axis=0)
    volumes = mesh.volumes
    moved = np.linalg.norm(np.asarray(final.displacement)[: len(mesh.points)], axis=1) * MM_PER_M
    nodes = np.unique(mesh.tetrahedra[wall])
    ends = f"elements within {options.exclude_from_ends_mm:g} mm of the held ends are left out"
    return (
        Number(
            "wall_stress_p99_kPa",
            "Wall stress, 99th percentile",
            fields.weighted_percentile(stress[wall], volumes[wall], 99),
            "kPa",
            f"largest principal Cauchy stress; {NOT_A_PREDICTOR}",
        ),
        Number(
            "wall_stress_peak_kPa",
            "Wall stress, peak",
            float(stress[peak]),
            "kPa",
            f"one element at LPS {_place(where)} mm; depends on the mesh; {ends}; {NOT_A_PREDICTOR}",
        ),
        Number(
            "wall_mises_p99_kPa",
            "Wall von Mises stress, 99th percentile",
            fields.weighted_percentile(mises[wall], volumes[wall], 99),
            "kPa",
            "",
        ),
        Number(
            "wall_displacement_max_mm",
            "Wall displacement, largest",
            float(moved[nodes].max()),
            "mm",
            "from the scanned shape to systolic pressure",
        ),
        Number("wall_displacement_mean_mm", "Wall displacement, mean", float(moved[nodes].mean()), "mm", ""),
        Number(
            "wall_strain_p99",
            "Wall stretch, 99th percentile",
            100 * fields.weighted_percentile(strain[wall], volumes[wall], 99),
            "%",
            "largest principal Green–Lagrange strain",
        ),
        _thickness_number(mesh, options),
        *_size_numbers(labels, options),
        *_thrombus_numbers(mesh, stress, counted, labels, options),
    )


def wall_curves(
    mesh: TetMesh, model: Model, solution: Solution, options: VesselWallOptions, systolic_mmHg: float
) -> tuple[Curve, ...]:
    """Wall stress and displacement over pressure."""
    from ...engine.tissue import fields

    wall = away_from_ends(mesh, options.exclude_from_ends_mm) & region_mask(mesh, "aortic_wall")
    volumes = mesh.volumes[wall]
    nodes = np.unique(mesh.tetrahedra[wall])
    pressure, stress, moved = [0.0], [0.0], [0.0]
    for state in solution.states:
        field = np.asarray(fields.maximum_principal_stress(model, state))[wall] / PA_PER_KPA
        pressure.append(float(state.load_fraction) * systolic_mmHg)
        stress.append(fields.weighted_percentile(field, volumes, 99))
        moved.append(float(np.linalg.norm(np.asarray(state.displacement)[nodes], axis=1).max()) * MM_PER_M)
    x = tuple(pressure)
    return (
        Curve(
            "Wall stress over pressure", "pressure", "mmHg", "99th percentile of wall stress", "kPa", x, tuple(stress)
        ),
        Curve("Wall displacement over pressure", "pressure", "mmHg", "largest displacement", "mm", x, tuple(moved)),
    )


def region_mask(mesh: TetMesh, name: str) -> NDArray[np.bool_]:
    """(E,) elements of a region."""
    return np.isin(mesh.region, [label for label, region in mesh.region_names.items() if region == name])


def away_from_ends(mesh: TetMesh, distance_mm: float) -> NDArray[np.bool_]:
    """(E,) elements whose centre is at least so far from every held node."""
    held = [nodes for name, nodes in mesh.node_sets.items() if name.startswith("end_")]
    if not held or distance_mm == 0:
        return np.ones(len(mesh.tetrahedra), dtype=bool)
    centres = mesh.points[mesh.tetrahedra].mean(axis=1)
    distance, _ = cKDTree(mesh.points[np.concatenate(held)]).query(centres)
    far = distance >= distance_mm
    # A very short piece of vessel has nothing far from its ends; then all of it counts.
    return far if far.any() else np.ones(len(far), dtype=bool)


def _thickness_number(mesh: TetMesh, options: VesselWallOptions) -> Number:
    thickness = wall_thickness(mesh)
    thinned = 100 * float((thickness < 0.8 * options.wall_thickness_mm).mean())
    return Number(
        "wall_thickness_min_mm",
        "Wall thickness, smallest",
        float(thickness.min()),
        "mm",
        f"{options.wall_thickness_mm:g} mm was asked for, the median is {np.median(thickness):.2f} mm; "
        f"{thinned:.1f} % of the outer surface has less than four fifths of it (in clefts and crotches), "
        "where stress comes out too high",
    )


def wall_thickness(mesh: TetMesh) -> NDArray[np.float64]:
    """(n,) mm from each node of the wall's outside, the open ends' left out, to the nearest place of its inside."""
    from ...meshing.sets import boundary_facets

    facets, _ = boundary_facets(mesh.tetrahedra[region_mask(mesh, "aortic_wall")])
    held = np.zeros(len(mesh.points), dtype=bool)
    for name, nodes in mesh.node_sets.items():
        held[nodes] |= name.startswith("end_")
    outside = np.zeros(len(mesh.points), dtype=bool)
    outside[mesh.facet_sets["outer"]] = True
    inner = mesh.points[facets[~outside[facets].any(axis=1) & ~held[facets].all(axis=1)]]
    # places in a triangle so close together that the nearest one stands for the triangle (within 3 %)
    count = 5
    weight = [(i, j, count - i - j) for i in range(count + 1) for j in range(count + 1 - i)]
    places = np.einsum("wc,fcx->fwx", np.array(weight) / count, inner).reshape(-1, 3)
    distance, _ = cKDTree(places).query(mesh.points[outside & ~held])
    return np.asarray(distance)


def _size_numbers(labels: LabelMap, options: VesselWallOptions) -> list[Number]:
    vessel, lumen = labels.mask((*options.lumen, *options.thrombus)), labels.mask(options.lumen)
    spacing = labels.grid.spacing
    millilitre = labels.grid.voxel_volume / 1000
    diameter, centre = largest_inscribed(vessel, labels)
    return [
        Number(
            "max_inscribed_diameter_mm",
            "Largest inscribed-sphere diameter",
            diameter,
            "mm",
            f"of lumen and thrombus together, at LPS {_place(centre)} mm",
        ),
        Number(
            "max_axial_diameter_mm",
            "Largest axial diameter",
            largest_axial_diameter(vessel, labels),
            "mm",
            "of lumen and thrombus, widest extent in one axial slice; oblique vessels look wider",
        ),
        Number(
            "lumen_ml",
            "Lumen volume",
            float(lumen.sum() * millilitre),
            "mL",
            f"voxels of {spacing.min():.2g} to {spacing.max():.2g} mm",
        ),
    ]


def _thrombus_numbers(mesh, stress, counted, labels: LabelMap, options: VesselWallOptions) -> list[Number]:
    from ...engine.tissue import fields

    thrombus = labels.mask(options.thrombus) if options.thrombus else np.zeros(1, dtype=bool)
    elements = counted & region_mask(mesh, "aortic_thrombus")
    if not thrombus.any() or not elements.any():
        return []
    value = fields.weighted_percentile(stress[elements], mesh.volumes[elements], 99)
    return [
        Number("thrombus_ml", "Thrombus volume", float(thrombus.sum() * labels.grid.voxel_volume / 1000), "mL", ""),
        Number(
            "thrombus_stress_p99_kPa",
            "Thrombus stress, 99th percentile",
            value,
            "kPa",
            "largest principal Cauchy stress",
        ),
    ]


def largest_inscribed(mask: NDArray[np.bool_], labels: LabelMap) -> tuple[float, NDArray[np.float64]]:
    """Diameter (mm) and centre (LPS mm) of the largest sphere inside a mask, its closed holes filled.

    A voxel between lumen and thrombus that carries neither label would else halve the sac.
    """
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    inside = np.pad(np.asarray(ndimage.binary_fill_holes(mask[box])), 1)
    distance = ndimage.distance_transform_edt(inside, sampling=labels.grid.spacing)
    index = np.array(np.unravel_index(np.argmax(distance), distance.shape)) - 1 + [s.start for s in box]
    # The distance is to the nearest outside voxel's centre; the border lies half a voxel before it.
    radius = float(distance.max()) - float(labels.grid.spacing.mean()) / 2
    return 2 * radius, labels.grid.points_from_index(index)


def largest_axial_diameter(mask: NDArray[np.bool_], labels: LabelMap) -> float:
    """Largest extent (maximum Feret diameter, mm) of one connected piece in one slice across the K axis."""
    best = 0.0
    for k in np.flatnonzero(mask.any(axis=(0, 1))):
        pieces, count = ndimage.label(mask[:, :, k])
        for number in range(1, count + 1):
            piece = pieces == number
            rim = np.argwhere(piece & ~ndimage.binary_erosion(piece))
            points = labels.grid.points_from_index(np.column_stack([rim, np.full(len(rim), k)]))
            best = max(best, _farthest(points))
    return best + float(labels.grid.spacing[:2].mean())


def _farthest(points: NDArray[np.float64]) -> float:
    """Largest distance between two points, by their extent in 180 directions of their plane (error < 0.02 %)."""
    if len(points) < 2:
        return 0.0
    centred = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    angle = np.radians(np.arange(180))
    along = (centred @ axes[:2].T) @ np.stack([np.cos(angle), np.sin(angle)])
    return float(np.ptp(along, axis=0).max())


def _place(point: NDArray) -> str:
    return ", ".join(f"{value:.0f}" for value in point)
