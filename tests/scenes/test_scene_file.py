"""Scene files: what is read, and one clear line per mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from preop.imaging.errors import PreopError, SceneError
from preop.scenes.pipeline import run_scene
from preop.scenes.procedures import procedure
from preop.scenes.scene_file import builtin_names, load_scene
from preop.scenes.yaml_text import key_lines


def edited(tmp_path, change, name="liver-retraction"):
    """A YAML file with one change to a built-in scene's data."""
    scene = load_scene(name)
    data = scene.model_dump(mode="json")
    change(data)
    path = tmp_path / "scene.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_scenes_are_valid_and_say_what_they_need(name):
    scene = load_scene(name)
    assert scene.name == name
    assert scene.title
    assert scene.needs


def test_a_dumped_scene_reads_back_the_same(tmp_path):
    path = edited(tmp_path, lambda data: None)
    again, first = load_scene(path), load_scene("liver-retraction")
    assert again.model_dump() == first.model_dump()
    assert again.folder == tmp_path.resolve()


def test_overrides_reach_into_mappings_and_lists():
    scene = load_scene(
        "liver-retraction",
        [
            "options.tetrahedra=1234",
            "solver.element=T10",
            "options.supports.0.stiffness_kPa_per_mm=0.7",
            "patient.phantom.seed=5",
        ],
    )
    assert scene.options["tetrahedra"] == 1234
    assert scene.solver.element == "T10"
    assert scene.options["supports"][0]["stiffness_kPa_per_mm"] == 0.7
    assert scene.patient.phantom.seed == 5


def test_seeds_can_be_set_from_the_command_line():
    scene = load_scene("liver-retraction", ["segmentation.seeds.liver.point=[-60, 0, 10]"])
    assert scene.segmentation.seeds["liver"].point == (-60, 0, 10)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d.update(titel="x"), "unknown key titel; did you mean title?"),
        (lambda d: d["solver"].update(load_step=3), "unknown key solver.load_step; did you mean load_steps?"),
        (lambda d: d["options"].update(tetrahedrons=3), "unknown key options.tetrahedrons; did you mean tetrahedra?"),
        (lambda d: d["options"]["grasp"].pop("path_mm"), "options.grasp.path_mm is missing"),
        (
            lambda d: d["options"].update(tetrahedra=3),
            "options.tetrahedra: input should be greater than or equal to 500, not 3",
        ),
        (lambda d: d["options"]["grasp"]["where"].update(point=[0, 0, 0]), "give exactly one of"),
        (lambda d: d["options"]["regions"]["liver"].update(poisson=0.5), "liver.poisson: must be 0 to 0.49"),
        (lambda d: d["options"]["regions"]["liver"].update(tissue="chewing gum"), "unknown tissue chewing gum"),
        (lambda d: d.update(procedure="retracton"), "unknown procedure retracton"),
        (lambda d: d.update(segmentation={"seeds": {"liver": {}}}), "give either a point or a box"),
        (lambda d: d.update(segmentation={"seeds": {"livre": {"point": [0, 0, 0]}}}), "unknown segment livre"),
        (lambda d: d.update(show=["livre"]), "unknown segment livre"),
        (
            lambda d: d.update(segmentation={"seeds": {"livver": {"point": [0, 0, 0]}}}),
            "segmentation.seeds: unknown segment livver (did you mean liver?)",
        ),
        (
            lambda d: d.update(segmentation={"seeds": {"liver": {"point": [-60, -20]}}}),
            "segmentation.seeds.liver.point: needs three numbers (x, y, z in LPS mm), not [-60, -20]",
        ),
        (
            lambda d: d.update(segmentation={"seeds": {"liver": {"point": [-60]}}}),
            "segmentation.seeds.liver.point: needs three numbers (x, y, z in LPS mm), not [-60]",
        ),
        (
            lambda d: d.update(segmentation={"seeds": {"liver": {"point": [1, 2, 3, 4]}}}),
            "segmentation.seeds.liver.point: needs three numbers (x, y, z in LPS mm), not [1, 2, 3, 4]",
        ),
        (
            lambda d: d["options"].update(gravity=[0, 9.81]),
            "options.gravity: needs three numbers (x, y, z in m/s², LPS; [0, 9.81, 0] pulls to the back), "
            "not [0, 9.81]",
        ),
        (lambda d: d["options"].update(gravity=9.81), "options.gravity: needs three numbers (x, y, z in m/s², LPS"),
        (
            lambda d: d["options"].update(gravity=[0, 9810, 0]),
            "options.gravity: must be in m/s² (9.81 on Earth, 30 at most), not [0, 9810, 0]",
        ),
        (
            lambda d: d["options"]["grasp"].update(where={"towards": [0, 1]}),
            "where.towards: needs three numbers (a direction x, y, z, LPS: to the left, the back and the head)",
        ),
        (
            lambda d: d["options"]["grasp"].update(path_mm=[0, 10]),
            "options.grasp.path_mm.0: needs three numbers (x, y, z in mm, LPS, from where the tool took hold), not 0",
        ),
        (lambda d: d["options"]["grasp"].update(path_mm=10), "path_mm: needs a list of corners, each of three numbers"),
        (lambda d: d.update(segmentation={"seeds": {"liver": {"box": 4}}}), "box: needs two corners, each of three"),
        (
            lambda d: d.update(segmentation={"seeds": {"liver": {"box": [0, 0, 0, 1, 1, 1]}}}),
            "box: needs two corners, each of three",
        ),
        (
            lambda d: d.update(segmentation={"seeds": {"liver": {"box": [[0, 0, 0], [1, 1, 1], [2, 2, 2]]}}}),
            "box: needs two corners, each of three",
        ),
        (lambda d: d.update(show="liver"), "show: needs a list, such as [a, b], not 'liver'"),
        (lambda d: d.update(name="../evil"), "name: "),
        (lambda d: d.pop("preop"), "the key preop is missing"),
    ],
)
def test_a_mistake_is_told_in_one_line_that_names_the_key(tmp_path, change, expected):
    path = edited(tmp_path, change)
    with pytest.raises(SceneError) as caught:
        load_scene(path)
    line = caught.value.line()
    assert expected in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d.update(folder=1), "unknown key folder"),
        (lambda d: d.update(preop=True), "preop: must be a number"),
        (lambda d: d.update(preop=2), "preop: "),
        (lambda d: d["options"].update(gravity=[0, float("nan"), 0]), "options.gravity.1: input should be a finite"),
        (
            lambda d: d["options"]["grasp"].update(path_mm=[[0, float("inf"), 0]]),
            "path_mm.0.1: input should be",
        ),
        (lambda d: d["options"]["grasp"].update(where={"towards": [float("inf"), 0, 0]}), "finite number"),
        (lambda d: d.update(segmentation={"seeds": {"liver": {"point": [0, 0, float("nan")]}}}), "finite number"),
        (lambda d: d.update(segmentation={"seeds": {"liver": {"box": [[0, 0, 0], [9, 0, 9]]}}}), "must differ along"),
        (lambda d: d.update(segmentation={"segmenter": "foo"}), "unknown segmenter foo (known are classical"),
        (lambda d: d.update(segmentation={"segmenter": "labels"}), "needs the key labels"),
        (lambda d: d.update(segmentation={"labels": ""}), "segmentation.labels: "),
        (lambda d: d["options"].update(target="spleen"), "options.target: there is no region spleen; there are liver"),
        (lambda d: d["options"]["regions"]["liver"].update(young_kPa=0.001), "young_kPa: "),
        (lambda d: d["options"]["regions"]["liver"].update(density=1), "density: "),
        (lambda d: d["patient"].update(phantom={"shape": [1, 1, 1]}), "patient.phantom.shape.0: "),
        (lambda d: d["patient"].update(scan=""), "patient.scan: "),
        (lambda d: d["options"]["supports"][1].update(name="coronary ligament"), "two supports have the name coronary"),
        (lambda d: d["options"]["supports"][1].update(name="grasp"), "belongs to a part of the mesh"),
        (lambda d: d["options"]["supports"][1].update(name="surface"), "belongs to a part of the mesh"),
        (lambda d: d["options"]["supports"][1].update(name="interface_liver_tumor_liver"), "part of the mesh"),
        (lambda d: d["options"]["supports"][1].update(name=""), "name: "),
    ],
)
def test_what_can_be_known_before_computing_is_refused_before_computing(tmp_path, change, expected):
    test_a_mistake_is_told_in_one_line_that_names_the_key(tmp_path, change, expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d["options"].update(thrombus=["aorta"]), "aorta cannot be both lumen and thrombus"),
        (lambda d: d["options"].update(box_mm=[[0, 0, 0], [0, 9, 9]]), "must differ along"),
        (lambda d: d["options"].update(box_mm=[[0, 0, 0], [9, 9, float("inf")]]), "finite number"),
        (lambda d: d["options"].update(outer_support_kPa_per_mm=float("inf")), "finite number"),
        (lambda d: d["options"].update(wall={"tissue": "aneurysm_wall", "young_kPa": 0.001}), "young_kPa: "),
        (lambda d: d["patient"].update(systolic_mmHg=70), "systolic_mmHg (70) must be above diastolic_mmHg (80)"),
    ],
)
def test_a_vessel_that_cannot_be_is_refused_before_computing(tmp_path, change, expected):
    path = edited(tmp_path, change, "aneurysm-wall")
    with pytest.raises(SceneError) as caught:
        load_scene(path)
    assert expected in caught.value.line()


def test_blood_pressure_is_checked_only_where_it_is_used():
    assert load_scene("liver-retraction", ["patient.systolic_mmHg=75"]).patient.systolic_mmHg == 75


def test_the_phantom_takes_what_the_schema_takes():
    from preop.imaging.phantom.parameters import MAX_VOXELS, MIN_VOXELS

    for size in (MIN_VOXELS, MAX_VOXELS):
        load_scene("liver-retraction", [f"patient.phantom.shape=[{size}, {size}, {size}]"])
    for size in (MIN_VOXELS - 1, MAX_VOXELS + 1):
        with pytest.raises(SceneError, match="shape"):
            load_scene("liver-retraction", [f"patient.phantom.shape=[{size}, 64, 64]"])


@pytest.mark.parametrize(("text", "value"), [("1e6", 1e6), ("2.5e3", 2500), ("1E+5", 1e5), ("60000", 60000)])
def test_numbers_are_read_as_people_write_them(text, value):
    scene = load_scene("liver-retraction", [f"options.tetrahedra={text}"])
    assert procedure(scene.procedure).parse(scene).tetrahedra == value


def test_a_key_that_stands_twice_is_a_mistake(tmp_path):
    text = yaml.safe_dump(load_scene("liver-retraction").model_dump(mode="json"))
    path = tmp_path / "scene.yaml"
    path.write_text(text.replace("load_steps: 8", "load_steps: 8\n  load_steps: 80"), encoding="utf-8")
    with pytest.raises(SceneError, match="the key load_steps stands twice, line"):
        load_scene(str(path))
    path.write_text(f"{text}a: &base {{x: 1}}\n", encoding="utf-8")
    with pytest.raises(SceneError, match="unknown key a"):
        load_scene(str(path))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["patient.scan=null"], "names no scan"),
        (["patient.scan=not/there"], "nothing at this path"),
        (["segmentation.labels=not-there.nii.gz"], "label map is not there"),
        (["options.regions.extra={labels: [gallbladder], tissue: fat}"], "does not give gallbladder"),
    ],
)
def test_inputs_are_looked_for_before_computing(tmp_path, overrides, said):
    with pytest.raises(PreopError, match=said):
        run_scene(load_scene("liver-retraction", overrides), tmp_path / "out", progress=_no_stage)
    assert list(tmp_path.iterdir()) == []


def _no_stage(fraction, message):
    raise AssertionError(f"work began: {message}")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("tetrahedra", "--set needs key=value"),
        ("options.supports.9.name=x", "not an entry of that list"),
        ("title.text=x", "single value"),
        ("options.tetrahedra=[", "not valid YAML"),
    ],
)
def test_a_wrong_override_is_told(override, expected):
    with pytest.raises(SceneError, match=expected):
        load_scene("liver-retraction", [override])


def test_files_that_are_no_scenes(tmp_path):
    for name, content, expected in (
        ("list.yaml", "- 1\n- 2\n", "must be a mapping"),
        ("broken.yaml", "a: [1, 2\nb: 3\n", "line"),
        ("binary.yaml", b"\xff\xfe\x00\x01", "cannot be read as text"),
    ):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(SceneError, match=expected):
            load_scene(str(path))
    with pytest.raises(SceneError, match="Did you mean liver-retraction"):
        load_scene("liver-retracton")


def test_every_key_of_a_scene_is_documented():
    """docs/scene.md names each option of both procedures and of the scene itself."""
    from preop.scenes.procedures.retraction import GraspOptions, RetractionOptions
    from preop.scenes.procedures.vessel_wall import VesselWallOptions
    from preop.scenes.schema import Patient, Place, Scene, SegmentationOptions, SolverOptions, Support

    text = (Path(__file__).parents[2] / "docs" / "scene.md").read_text(encoding="utf-8")
    of_the_scene = (Scene, Patient, SegmentationOptions, SolverOptions, Place, Support)
    parts = (*of_the_scene, GraspOptions, RetractionOptions, VesselWallOptions)
    keys = {key for part in parts for key, field in part.model_fields.items() if not field.exclude}
    assert {key for key in keys if key not in text} == set()


def test_a_file_that_is_no_scene_and_a_folder_are_told_as_what_they_are(tmp_path):
    prose = tmp_path / "README.md"
    prose.write_text("# Title\n\nFirst: a word: another\n", encoding="utf-8")
    for path, expected in ((prose, "Give a YAML scene"), (tmp_path, "is a folder, not a scene")):
        with pytest.raises(SceneError) as caught:
            load_scene(str(path))
        assert expected in caught.value.line()
        assert "no such scene" not in caught.value.line()


def copied(tmp_path: Path, monkeypatch, name: str = "liver-retraction") -> list[str]:
    """A built-in scene as a user copies it to mine.yaml in the working folder: its lines."""
    from importlib import resources

    monkeypatch.chdir(tmp_path)
    text = (resources.files("preop.scenes.builtin") / f"{name}.yaml").read_text(encoding="utf-8")
    Path("mine.yaml").write_text(text, encoding="utf-8")
    return text.splitlines()


def changed(lines: list[str], old: str, new: str) -> int:
    """Write the copy with a change; the changed line's number, as an editor counts."""
    (number,) = [number for number, line in enumerate(lines, start=1) if old in line]
    text = "\n".join([*lines[: number - 1], lines[number - 1].replace(old, new), *lines[number:]])
    Path("mine.yaml").write_text(text, encoding="utf-8")
    return number


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("fraction: 0.3}", "fraction: 30}", "options.supports.0.where.fraction: "),
        ("load_steps: 8", "load_step: 8", "unknown key solver.load_step; did you mean load_steps?"),
        ("tetrahedra: 40000", "tetrahedra: 4", "options.tetrahedra: "),
        ("path_mm: [[0, -12, 5]", "path_mm: [[0, -12]", "options.grasp.path_mm.0: needs three numbers"),
        ("procedure: retraction", "procedure: retracton", "unknown procedure retracton"),
        ("name: abdominal bed", "name: coronary ligament", "options.supports: two supports have the name"),
        ("title: Liver", "source: here\ntitle: Liver", "unknown key source"),
        ("title: Liver", "folder: here\ntitle: Liver", "unknown key folder"),
        ("tissue: liver}", "tissue: livver}", "unknown tissue livver"),
    ],
)
def test_a_copied_scene_is_named_by_its_file_and_the_line(tmp_path, monkeypatch, old, new, said):
    number = changed(copied(tmp_path, monkeypatch), old, new)
    # Of two supports of one name the list is told.
    number = number if "two supports" not in said else _line_of(Path("mine.yaml"), "  supports:")
    with pytest.raises(SceneError) as caught:
        load_scene("mine.yaml")
    assert caught.value.line().startswith(f"mine.yaml, line {number}: ")
    assert said in caught.value.line()
    assert "scene liver-retraction" not in caught.value.line()


def _line_of(file: Path, beginning: str) -> int:
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
    (number,) = [number for number, line in lines if line.startswith(beginning)]
    return number


def test_what_the_command_line_sets_is_told_without_a_line_and_a_built_in_scene_by_its_name(tmp_path, monkeypatch):
    copied(tmp_path, monkeypatch)
    for scene, where in (("mine.yaml", "mine.yaml: "), ("liver-retraction", "scene liver-retraction: ")):
        for override, key in (
            ("options.tetrahedra=4", "options.tetrahedra: "),
            ("options.grasp={where: {all: true}, path_mm: [[0, 0, 0]]}", "options.grasp.path_mm: "),
        ):
            with pytest.raises(SceneError) as caught:
                load_scene(scene, [override])
            assert caught.value.line().startswith(f"{where}{key}")


def test_what_is_found_wrong_later_names_the_file_too(tmp_path, monkeypatch):
    lines = copied(tmp_path, monkeypatch, "aneurysm-wall")
    number = changed(lines, "systolic_mmHg: 120", "systolic_mmHg: 70")
    with pytest.raises(SceneError) as caught:
        load_scene("mine.yaml")
    assert caught.value.line().startswith(f"mine.yaml, line {number}: patient.systolic_mmHg (70) must be above")
    with pytest.raises(SceneError, match=r"^mine.yaml: names no scan"):
        run_scene(load_scene("mine.yaml", ["patient={scan: null}"]), tmp_path / "out", progress=_no_stage)


def test_a_place_where_no_organ_is_names_the_line_of_its_key(tmp_path, monkeypatch):
    """The jaws' place of a user's file, on a mesh that it misses: as the run tells it, long after reading."""
    from types import SimpleNamespace

    from preop.meshing.mesh import TetMesh
    from preop.meshing.sets import with_region_sets
    from preop.scenes.procedures.retraction import _with_sets

    number = changed(copied(tmp_path, monkeypatch), "towards: [0, -0.4, -0.9], radius_mm: 25", "point: [900, 0, 0]")
    scene = load_scene("mine.yaml")
    cell = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]], dtype=float)
    mesh = with_region_sets(TetMesh(cell, np.array([[0, 1, 2, 3]], np.int32), np.array([10], np.int32), {10: "liver"}))
    session = SimpleNamespace(scene=scene, labels=None, notes=[])
    with pytest.raises(SceneError) as caught:
        _with_sets(procedure(scene.procedure).parse(scene), mesh, session)  # type: ignore[arg-type]
    assert caught.value.line().startswith(f"mine.yaml, line {number}, options.grasp.where: ")


def test_aliases_of_aliases_make_no_endless_list_of_keys():
    text = "a0: &a0 {x: 1, y: 2}\n" + "".join(
        f"a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(9))}}}\n" for n in range(1, 9)
    )
    assert len(key_lines(text)) == 10_000
