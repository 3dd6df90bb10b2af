"""Both built-in scenes from a scan to a report, by the command that a person types."""

from __future__ import annotations

import html
import json
import math
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from preop.engine.tissue.tissues import TISSUES
from preop.imaging.errors import NOT_A_MEDICAL_DEVICE

pytestmark = pytest.mark.slow

SMALL = (128, 128, 128)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "result-folder.md"
RUNS = {
    "liver": ["liver-retraction", "--set", f"patient.phantom.shape={[*SMALL]}", "--set", "options.tetrahedra=3000",
              "--set", "solver.load_steps=2"],
    "wall": ["aneurysm-wall", "--dicom", "phantom/dicom", "--set", "segmentation.labels=phantom/labels.nii.gz",
             "--set", "options.edge_length_mm=6", "--set", "solver.load_steps=2",
             "--set", "options.clot={tissue: aortic_thrombus, poisson: 0.46}"],
}  # fmt: skip


def preop(*arguments, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "preop.scenes.cli", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8", env=environment, check=False)


@pytest.fixture(scope="session")
def workplace(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("Smith_John")
    done = preop("phantom", "--out", "phantom", "--shape", *SMALL, "--phase", "arterial", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def once(workplace):
    """Each scene is run once, by the first test that asks for it."""

    @cache
    def run_of(name: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
        done = preop("run", *RUNS[name], "--out", name, cwd=workplace)
        assert done.returncode in (0, 1), done.stderr
        return workplace / name, done

    return run_of


@pytest.fixture(params=RUNS)
def run(request, once) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A run with everything it writes: its folder and what it said."""
    return once(request.param)


def result_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


def documented_keys(section: str) -> set[str]:
    """The first column of the table under a heading of the document."""
    text = DOCUMENT.read_text(encoding="utf-8").split(f"{section}\n")[1].split("\n## ")[0]
    return {key for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE) for key in re.findall(r"`(.+?)`", row)}


def test_the_exit_code_tells_whether_the_segmentation_is_to_be_trusted(run):
    folder, done = run
    assert done.returncode == (0 if result_of(folder)["segmentation"]["trusted"] else 1)
    assert NOT_A_MEDICAL_DEVICE in " ".join(done.stdout.split())
    assert "Traceback" not in done.stderr
    for number in result_of(folder)["numbers"]:
        assert number["name"] in " ".join(done.stdout.split())


def test_the_folder_holds_what_is_documented_and_the_manifest_lists_it(run):
    folder, _ = run
    documented = documented_keys("# The result folder")
    for entry in folder.iterdir():
        assert (f"{entry.name}/" if entry.is_dir() else entry.name) in documented
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert set(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]) == files - {"manifest.json"}
    names = {file.stem for file in (folder / "surfaces").iterdir()}
    assert {f"surfaces/{name}{suffix}" for name in names for suffix in (".vtp", ".stl", ".glb")} <= files
    assert "animation.webp" in files
    assert not [name for name in os.listdir(folder.parent) if name.startswith(".")]


def test_result_json_has_the_documented_layout(run):
    data = result_of(run[0])
    assert set(data) == documented_keys("## result.json")
    for key in ("command", "code", "inputs", "versions", "machine", "device", "seed", "mesh_seed", "stages"):
        assert key in data["provenance"]
    assert data["status"] == "converged"
    assert data["solver"]["stability"] == "stable"
    for number in data["numbers"]:
        assert set(number) == {"key", "name", "value", "unit", "meaning", "place_mm", "field"}
        assert math.isfinite(number["value"])
    assert len(data["numbers"]) > 4
    for curve in data["curves"]:
        assert len(curve["x"]) == len(curve["y"]) > 1
    assert data["provenance"]["device"] not in ("", "auto")
    assert data["provenance"]["inputs"][0]["files"] == SMALL[2]
    assert "Smith" not in json.dumps(data)


def test_the_fields_are_what_the_numbers_say(run):
    """Read back: the mesh in the files has the counts and volumes of result.json, and it moved."""
    import pyvista as pv

    folder, _ = run
    data = result_of(folder)
    steps = sorted((folder / "fields").glob("step_*.vtu"))
    grids = [pv.read(file) for file in (steps[0], steps[-1])]
    (mesh,) = data["meshes"]
    assert grids[1].n_cells == mesh["tetrahedra"]
    assert grids[1].n_points == mesh["nodes"]
    volume = np.abs(grids[1].compute_cell_sizes()["Volume"]).sum() / 1000
    assert volume == pytest.approx(sum(one["volume_ml"] for one in mesh["regions"]), rel=1e-6)
    assert np.linalg.norm(grids[1].point_data["displacement"], axis=1).max() > 0.1
    named = dict(zip(grids[1].field_data["region_id"].tolist(), grids[1].field_data["region_name"], strict=True))
    sizes = np.abs(grids[1].compute_cell_sizes()["Volume"]) / 1000
    for one in mesh["regions"]:
        label = next(label for label, name in named.items() if name == one["name"])
        assert one["volume_ml"] == pytest.approx(sizes[grids[1].cell_data["region"] == label].sum(), rel=1e-6)
    numbers = {one["key"]: one["value"] for one in data["numbers"]}
    recomputed = lifted if data["scene"]["procedure"] == "retraction" else widened
    for key, value in recomputed(grids[1], sizes, named).items():
        assert numbers[key] == pytest.approx(value, rel=1e-5), key


def documented_fields() -> dict[str, tuple[str, str, str]]:
    """Name → nodes or elements, shape, unit, as the document's table of fields tells."""
    text = DOCUMENT.read_text(encoding="utf-8").split("## Fields\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \| (.+?) \|", text, re.MULTILINE)
    return {name: (at, shape, unit) for name, at, shape, unit in rows}


def test_a_doubt_about_the_elements_stands_in_the_result_and_is_printed(run):
    folder, done = run
    said = [line for line in result_of(folder)["warnings"] if "linear elements lock" in line]
    assert len(said) == (1 if folder.name == "wall" else 0)
    for line in said:
        assert line.startswith("options.clot.poisson is 0.46")
        assert line in " ".join(done.stdout.split())


def test_every_field_is_documented_with_its_shape_and_carries_its_unit(run):
    from vtkmodules.vtkIOXML import vtkXMLUnstructuredGridReader

    folder, _ = run
    documented, found = documented_fields(), {}
    for file in sorted((folder / "fields").glob("step_*.vtu")):
        reader = vtkXMLUnstructuredGridReader()
        reader.SetFileName(str(file))
        reader.Update()
        grid = reader.GetOutput()
        points = grid.GetPoints().GetData()
        assert points.GetInformation().Get(points.UNITS_LABEL()) == "mm"
        for at, data in (("nodes", grid.GetPointData()), ("elements", grid.GetCellData())):
            for number in range(data.GetNumberOfArrays()):
                array = data.GetArray(number)
                shape = ("(N,", "(E,")[at == "elements"] + (")" if array.GetNumberOfComponents() == 1 else " 3)")
                found[array.GetName()] = (at, shape, array.GetInformation().Get(array.UNITS_LABEL()))
    sets = {name for name in found if name.startswith("set_")}
    assert sets
    for name, what in found.items():
        assert what == documented["set_NAME" if name in sets else name], name
    of_vessels = set() if "wall" in folder.name else {"wall_stress_kPa"}
    assert documented.keys() - {"set_NAME"} - of_vessels == found.keys() - sets


def test_the_strain_follows_from_the_file_alone(run):
    """From the load-free to the deformed shape, at every step: E = (FᵀF − I)/2 of each linear tetrahedron."""
    import pyvista as pv

    folder, _ = run
    offsets = []
    for file in sorted((folder / "fields").glob("step_*.vtu")):
        grid = pv.read(file)
        cells = grid.cells_dict[10]
        offsets.append(np.asarray(grid.point_data["load_free_offset"]))
        free = grid.points + offsets[-1]
        rest, moved = ((x[cells[:, 1:]] - x[cells[:, :1]]).transpose(0, 2, 1)
                       for x in (free, grid.points + grid.point_data["displacement"]))  # fmt: skip
        gradient = moved @ np.linalg.inv(rest)
        strain = (gradient.transpose(0, 2, 1) @ gradient - np.eye(3)) / 2
        np.testing.assert_allclose(np.linalg.eigvalsh(strain)[:, -1], grid.cell_data["strain"], atol=1e-5)
        np.testing.assert_allclose(np.linalg.det(gradient), grid.cell_data["volume_ratio"], atol=1e-5)
    # Both scenes undo the load of the scan: without the offset the strain would be another one.
    assert np.linalg.norm(offsets[0], axis=1).max() > 0.3
    assert all(np.array_equal(one, offsets[0]) for one in offsets)


def percentile(values: np.ndarray, weights: np.ndarray, percent: float) -> float:
    """The smallest value below which so much of the weight lies."""
    order = np.argsort(values)
    return values[order][np.cumsum(weights[order]) >= percent / 100 * weights.sum()][0]


def lifted(grid, sizes: np.ndarray, named: dict) -> dict[str, float]:
    """A retraction's numbers from its last step's file."""
    moved, strain = np.asarray(grid.point_data["displacement"]), np.asarray(grid.cell_data["strain"])
    grasped = np.asarray(grid.point_data["set_grasp"]) > 0
    return {
        "largest_displacement_mm": np.linalg.norm(moved, axis=1).max(),
        "lift_mm": np.linalg.norm(moved[grasped].mean(axis=0)),
        "strain_peak": 100 * strain.max(),
        "strain_p99": 100 * percentile(strain, sizes, 99),
        "overstrained_ml": sizes[strain > 0.30].sum(),
    }


def widened(grid, sizes: np.ndarray, named: dict) -> dict[str, float]:
    """A wall's numbers from its last step's file: of its elements 10 mm and more from every held node."""
    cells = grid.cells_dict[10]
    centre = grid.points[cells].mean(axis=1)
    ends = np.any([np.asarray(grid.point_data[key]) > 0 for key in grid.point_data if key.startswith("set_end_")], 0)
    wall = next(label for label, name in named.items() if name == "aortic_wall")
    far = np.array([np.linalg.norm(grid.points[ends] - one, axis=1).min() >= 10.0 for one in centre])
    counted = far & (np.asarray(grid.cell_data["region"]) == wall)
    assert 0.2 < counted.mean() < 0.95
    moved = np.linalg.norm(grid.point_data["displacement"], axis=1)[np.unique(cells[counted])]
    stress = np.asarray(grid.cell_data["wall_stress_kPa"])[counted]
    strain = np.asarray(grid.cell_data["strain"])[counted]
    return {
        "wall_displacement_max_mm": moved.max(),
        "wall_displacement_mean_mm": moved.mean(),
        "wall_stress_peak_kPa": stress.max(),
        "wall_stress_median_kPa": percentile(stress, sizes[counted], 50),
        "wall_stress_p99_kPa": percentile(stress, sizes[counted], 99),
        "wall_strain_p99": 100 * percentile(strain, sizes[counted], 99),
    }


def test_the_report_shows_the_real_result(run):
    folder, _ = run
    data, page = result_of(folder), (folder / "report.html").read_text(encoding="utf-8")
    for number in data["numbers"]:
        assert f'<data value="{number["value"]!r}">' in page
    tissue = {"liver-retraction": "liver", "aneurysm-wall": "aneurysm_wall"}[data["scene"]["name"]]
    assert "What was assumed" in page
    assert TISSUES[tissue].density_source in page
    assert TISSUES[tissue].stiffness_source.split(":")[0] in page
    assert f'<data value="{TISSUES[tissue].density!r}">' in page
    assert data["provenance"]["command"] in html.unescape(page)
    assert page.count(NOT_A_MEDICAL_DEVICE) >= 2
    assert page.count('<img src="data:image/') == len(list((folder / "stills").glob("*.png"))) + 1
    assert "Smith" not in page


def test_the_retraction_answers_the_planner(once):
    folder, _ = once("liver")
    data = result_of(folder)
    numbers = {one["key"]: one["value"] for one in data["numbers"]}
    scene = yaml.safe_load((folder / "scene.yaml").read_text(encoding="utf-8"))
    path = np.linalg.norm(scene["options"]["grasp"]["path_mm"][-1])
    assert 0.5 * path < numbers["lift_mm"] <= 1.05 * path
    assert numbers["grasper_force_N"] > 0
    agreement = {one["name"]: one["dice"] for one in data["agreement"]}
    assert agreement["liver"] > 0.9
    volumes = {one["name"]: one for one in data["meshes"][0]["regions"]}
    assert abs(volumes["liver"]["difference_percent"]) < 0.5
    assert abs(volumes["liver_tumor"]["difference_percent"]) < 0.5


def test_view_shows_it_without_a_display(run):
    folder, _ = run
    done = preop("view", folder.name, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"(\S+\.png)", done.stdout)
    assert sorted(Path(file).name for file in shown) == sorted(file.name for file in (folder / "stills").glob("*.png"))
    assert "report.html" in done.stdout


def test_the_scene_as_run_runs_again_in_the_place_of_the_first(once, workplace):
    """With its scan given anew, from the label map in the result, over the result, to the same numbers."""
    folder, first = once("wall")
    shutil.copytree(folder, workplace / "again")
    before = result_of(workplace / "again")
    # Asked to, it replaces its own result; not asked to, and without a scan, it says so at once.
    scene = ["run", "again/scene.yaml", "--out", "again", "--no-pictures"]
    scan = ["--dicom", "phantom/dicom"]
    for given, said in (([*scan], "already holds files"), (["--overwrite"], "Give it with --dicom")):
        done = preop(*scene, *given, cwd=workplace)
        assert done.returncode == 2
        assert said in done.stderr
        assert result_of(workplace / "again") == before
    done = preop(*scene, *scan, "--overwrite", cwd=workplace)
    assert done.returncode == first.returncode, done.stderr
    after = result_of(workplace / "again")
    assert not (workplace / "again" / "report.html").exists(), "nothing of the first result stays"
    assert after["provenance"]["started"] > before["provenance"]["started"]
    for one, other in zip(before["numbers"], after["numbers"], strict=True):
        assert other["value"] == pytest.approx(one["value"], rel=1e-6), one["name"]
    # A file of the person's own in it, and it is left alone.
    (workplace / "again" / "thesis.tex").write_text("years of work")
    done = preop(*scene, *scan, "--overwrite", cwd=workplace)
    assert done.returncode == 2
    assert "such as thesis.tex" in done.stderr
    assert (workplace / "again" / "thesis.tex").exists()
