"""A small result folder with a known content, for the tests of pictures, report and viewer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyvista as pv

CENTRE = np.array([-60.0, 20.0, 40.0])
LIFT = np.array([0.0, -6.0, 12.0])
LIVER, TUMOUR = 10, 11


def ball_of_tetrahedra() -> pv.UnstructuredGrid:
    """A liver-sized ball (radius 40 mm) with a tumour (radius 12 mm) in its middle."""
    points = pv.Sphere(radius=40, center=CENTRE, theta_resolution=14, phi_resolution=14).points
    inner = [pv.Sphere(radius=r, center=CENTRE, theta_resolution=10, phi_resolution=10).points for r in (12, 24, 32)]
    grid = pv.PolyData(np.vstack([points, *inner, CENTRE[None]]).astype(float)).delaunay_3d()
    grid = grid.extract_cells(np.flatnonzero(np.asarray(grid.celltypes) == pv.CellType.TETRA))
    grid.clear_data()
    away = np.linalg.norm(np.asarray(grid.cell_centers().points) - CENTRE, axis=1)
    grid.cell_data["region"] = np.where(away < 12, TUMOUR, LIVER).astype(np.int32)
    return grid


def step_of(grid: pv.UnstructuredGrid, load: float) -> pv.UnstructuredGrid:
    """The grid with a displacement that grows with height, and fields of known values."""
    step = grid.copy()
    height = (np.asarray(grid.points)[:, 2] - CENTRE[2] + 40) / 80
    step.point_data["displacement"] = load * height[:, None] * LIFT
    step.point_data["displacement_magnitude"] = np.linalg.norm(step.point_data["displacement"], axis=1)
    step.point_data["set_grasp"] = (height > 0.95).astype(np.uint8)
    step.point_data["set_posterior bed"] = (height < 0.1).astype(np.uint8)
    tumour = np.asarray(grid.cell_data["region"]) == TUMOUR
    step.cell_data["strain"] = load * np.where(tumour, 0.1, 0.2)
    step.cell_data["von_mises_kPa"] = load * np.where(tumour, 8.0, 2.0)
    return step


def numbers() -> dict[str, Any]:
    """A result.json in which every number differs from every other, so that each is found by its value."""
    return {
        "preop": "0.1.0",
        "disclaimer": "preop is research software, not a medical device. Do not use it for diagnosis or treatment.",
        "scene": {"name": "liver-retraction", "title": "Lift <of> a ball & more", "description": "A test.",
                  "procedure": "retraction"},
        "status": "converged",
        "numbers": [
            {"key": "shift", "name": "Tumour displacement", "value": 6.7082039, "unit": "mm", "meaning": "its centre"},
            {"key": "force", "name": "Grasper force", "value": 0.000123456, "unit": "N", "meaning": "pull"},
            {"key": "count", "name": "Pieces", "value": 12345, "unit": "", "meaning": ""},
        ],
        "curves": [{"name": "Force", "x_name": "lift", "x_unit": "mm", "y_name": "force", "y_unit": "N",
                    "x": [0.0, 5.0, 13.4], "y": [0.0, 0.7, 2.31]}],
        "segmentation": {"trusted": False, "phase": "portal", "text": "Seen in the portal phase.", "notes": [
            {"segment": "liver", "volume_ml": 268.1, "components": 1, "level": "bad", "text": "too small"},
            {"segment": "spleen", "volume_ml": 210.7, "components": 1, "level": "ok", "text": "plausible"}]},
        "surfaces": [{"name": "liver", "triangles": 364, "volume_ml": 263.9, "area_cm2": 199.25}],
        "meshes": [{"name": "ball", "nodes": 401, "tetrahedra": 1999, "region_volumes_ml": {"liver": 255.5},
                    "quality": {"tetrahedra": 1999, "radius_ratio_min": 0.0321, "poor": 17,
                                "histograms": {"radius_ratio": {"counts": [3, 14, 82],
                                                                "edges": [0.0, 0.25, 0.5, 1.0]}}}}],
        "solver": {"code": "converged", "advice": "", "unknowns": 1203, "seconds": {"total": 4.25},
                   "steps": [{"load_fraction": 0.5, "newton_iterations": 4, "residuals": [1.0, 2.5e-8]},
                             {"load_fraction": 0.875, "newton_iterations": 6, "residuals": [0.9, 3.5e-9]}]},
        "agreement": [{"name": "liver", "dice": 0.9512, "hausdorff_95_mm": 3.125, "volume_ml": 268.2,
                       "truth_volume_ml": 271.4, "difference_percent": -1.18}],
        "notes": ["Stress is no rupture predictor by itself."],
        "warnings": ["One support was left out."],
        "provenance": {"inputs": [{"name": "scan.zip", "sha256": "ab" * 32}], "versions": {"numpy": "2.4"},
                       "device": "cpu", "seed": 5, "started": "2026-01-01T00:00:00Z",
                       "finished": "2026-01-01T00:01:00Z",
                       "stages": [{"name": "tissue solver", "seconds": 41.5, "peak_memory_mib": 812.5}]},
    }  # fmt: skip


def write_small_result(folder: Path) -> Path:
    """Write the result; two load steps, two surfaces."""
    (folder / "surfaces").mkdir(parents=True)
    (folder / "fields").mkdir()
    grid = ball_of_tetrahedra()
    for number, load in enumerate((0.0, 1.0)):
        step_of(grid, load).save(folder / "fields" / f"step_{number:03d}.vtu")
    pv.Sphere(radius=40, center=CENTRE).save(folder / "surfaces" / "liver.vtp")
    pv.Sphere(radius=12, center=CENTRE).save(folder / "surfaces" / "liver_tumor.vtp")
    (folder / "result.json").write_text(json.dumps(numbers()), encoding="utf-8")
    return folder
