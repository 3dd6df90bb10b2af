"""Scene files: what is read, and one clear line per mistake."""

from __future__ import annotations

import pytest
import yaml

from preop.imaging.errors import SceneError
from preop.scenes.scene_file import builtin_names, load_scene


def edited(tmp_path, change):
    """A YAML file with one change to a built-in scene's data."""
    scene = load_scene("liver-retraction")
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
        (lambda d: d["options"]["regions"]["liver"].update(poisson=0.5), "less than 0.5"),
        (lambda d: d["options"]["regions"]["liver"].update(tissue="chewing gum"), "unknown tissue chewing gum"),
        (lambda d: d.update(procedure="retracton"), "unknown procedure retracton"),
        (lambda d: d["patient"].update(systolic_mmHg=70), "systolic_mmHg must be above diastolic_mmHg"),
        (lambda d: d.update(segmentation={"seeds": {"liver": {}}}), "give either a point or a box"),
        (lambda d: d.update(segmentation={"seeds": {"livre": {"point": [0, 0, 0]}}}), "unknown segment livre"),
        (lambda d: d.update(show=["livre"]), "unknown segment livre"),
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
