"""The report: self-contained, accessible, and with the numbers of result.json and no others."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from small_result import numbers, small_session

from preop.imaging.errors import NOT_A_MEDICAL_DEVICE, SceneError
from preop.imaging.segmentation.base import QualityNote
from preop.scenes.assumptions import assumptions
from preop.scenes.plots import histogram_svg
from preop.scenes.report import render_report, write_report
from preop.scenes.report_patient import segmentation_pill
from preop.scenes.report_words import figure, number_html, words_of
from preop.scenes.result_folder import ResultFolder
from preop.scenes.results import result_dict, write_result
from preop.scenes.scene_file import load_scene


class Page(HTMLParser):
    """What a test asks of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.values: list[float] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input", "br", "link"):
            self.open.append(tag)
        if tag == "data":
            self.values.append(float(dict(attrs)["value"] or "nan"))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.words))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(numbers()), encoding="utf-8")
    return tmp_path


@pytest.fixture
def page(folder) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def _told(data: dict) -> list[float]:
    """Every number of result.json that belongs into a table of the report."""
    mesh, solver = data["meshes"][0], data["solver"]
    found = [one["value"] for one in data["numbers"]]
    found += [note["volume_ml"] for note in data["segmentation"]["notes"]]
    found += [data["surfaces"][0][key] for key in ("triangles", "volume_ml", "area_cm2")]
    found += [mesh["nodes"], mesh["tetrahedra"]]
    found += [one[key] for one in mesh["regions"] for key in ("label_volume_ml", "volume_ml", "difference_percent")]
    found += [one["value"] for one in data["assumptions"] if not isinstance(one["value"], str)]
    found += [mesh["quality"]["radius_ratio_min"], mesh["quality"]["poor"]]
    found += [solver["unknowns"], solver["seconds"]["total"]]
    found += [v for step in solver["steps"] for v in (step["load"], step["newton_iterations"], step["residual"])]
    found += [value for row in data["agreement"] for value in row.values() if not isinstance(value, str)]
    found += [v for stage in data["provenance"]["stages"] for v in (stage["seconds"], stage["peak_memory_mib"])]
    return found


def test_every_number_of_the_result_stands_in_the_report(page):
    missing = [value for value in _told(numbers()) if value not in page.values]
    assert not missing


def test_every_number_of_the_report_stands_in_the_result(page):
    def leaves(value):
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        if isinstance(value, list):
            return [leaf for item in value for leaf in leaves(item)]
        return [value] if isinstance(value, int | float) else []

    known = set(leaves(numbers()))
    assert page.values
    assert [value for value in page.values if value not in known] == []


def test_a_changed_number_changes_the_report(folder):
    data = numbers()
    data["numbers"][0]["value"] = 9.87654
    (folder / "result.json").write_text(json.dumps(data))
    text = render_report(ResultFolder.open(folder))
    assert 'value="9.87654"' in text
    assert 'value="6.7082039"' not in text


def test_nothing_is_loaded_from_elsewhere(folder):
    from PIL import Image

    (folder / "stills").mkdir()
    Image.new("RGB", (1600, 1200), "white").save(folder / "stills" / "01_mesh.png")
    text = write_report(folder).read_text(encoding="utf-8")
    sources = [attributes.get("src") or attributes.get("href") for _, attributes in Page(text).tags]
    sources = [source for source in sources if source]
    assert any(source.startswith("data:image/") for source in sources)
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert not re.search(r"url\(|@import|<script|<link", text)


def test_disclaimer_stands_at_top_and_bottom_and_limits_are_told(page):
    assert page.text.count(NOT_A_MEDICAL_DEVICE) == 2
    body = page.text
    assert body.index(NOT_A_MEDICAL_DEVICE) < body.index("Results") < body.rindex(NOT_A_MEDICAL_DEVICE)
    for words in ("Stress is no rupture predictor by itself.", "One support was left out.", "ab" * 32):
        assert words in body
    assert "Segmentation not to be trusted" in body
    assert "do not trust" in body


def test_it_is_accessible(page):
    tags = page.tags
    assert [attributes for tag, attributes in tags if tag == "html"] == [{"lang": "en"}]
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in tags if tag == "th")
    assert all(attributes.get("aria-label") for tag, attributes in tags if tag == "svg")
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(a["href"][1:] in ids for tag, a in tags if tag == "a")
    assert page.open == []


def test_text_of_a_scene_is_escaped(page):
    assert "Lift <of> a ball & more" in page.text
    assert "of" not in [tag for tag, _ in page.tags]


def test_what_was_assumed_stands_in_the_report_with_its_source(page):
    from preop.engine.tissue.tissues import TISSUES

    liver = TISSUES["liver"]
    rows = {one["name"]: one for one in numbers()["assumptions"]}
    assert rows["liver: Young's modulus"]["value"] == pytest.approx(liver.young / 1000)
    assert rows["liver: density"]["value"] == liver.density
    assert rows["gravity, towards the back"]["unit"] == "m/s²"
    assert "Gravity, towards the back 9.81 m/s²" in page.text
    assert "What was assumed" in page.text
    assert liver.stiffness_source in page.text
    assert liver.density_source in page.text
    for words in ("Grasp: way of the jaws", "Grasp: where the jaws hold", "Strain above which volume is counted"):
        assert words in page.text
    assert "Inferior vena cava: stiffness" not in page.text, "it found nothing to hold on to and was left out"


def test_a_region_that_lost_volume_carries_a_remark(page):
    """The tetrahedra of the ball's tumour are those with their middle inside: coarser than its voxels."""
    told = {one["name"]: one for one in numbers()["meshes"][0]["regions"]}
    voxels = 4 / 3 * 3.14159265 * 40**3 / 1000
    assert told["liver"]["label_volume_ml"] + told["liver_tumor"]["label_volume_ml"] == pytest.approx(voxels, rel=0.02)
    for one in told.values():
        difference = 100 * (one["volume_ml"] / one["label_volume_ml"] - 1)
        assert one["difference_percent"] == pytest.approx(difference)
        assert ("lost more than 5 %" in one["remark"]) == (difference < -5)
    assert any(one["remark"] for one in told.values())
    assert "more than 5 %: finer than the tetrahedra" in page.text


def test_optional_parts_may_be_missing(tmp_path):
    data = numbers()
    kept = ("scene", "numbers", "status", "layout")
    (tmp_path / "result.json").write_text(json.dumps({key: data[key] for key in kept}))
    assert "12\u202f345" in Page(write_report(tmp_path).read_text(encoding="utf-8")).text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(scene=3, numbers=4), "scene's name"),
        (lambda d: d.update(scene={}, numbers=[]), "scene's name"),
        (lambda d: d.update(numbers=4), "its numbers"),
        (lambda d: d.update(numbers=[{"name": "x"}]), "its numbers"),
        (lambda d: d.update(status="newton_diverged"), "no converged"),
        (lambda d: d.update(status="success"), "no converged"),
        (lambda d: d.update(layout=99), "layout is 99"),
        (lambda d: d.pop("layout"), "layout is not told"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path, change, said):
    data = numbers()
    change(data)
    (tmp_path / "result.json").write_text(json.dumps(data))
    with pytest.raises(SceneError, match=said):
        ResultFolder.open(tmp_path)


def test_report_of_no_result(tmp_path):
    with pytest.raises(SceneError, match=r"no result\.json"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (12345, "12\u202f345"), (0.0, "0"), (23.71828, "23.7"), (23.0, "23.0"), (-1.5, "−1.50"),
     (0.000123456, "1.23·10⁻⁴"), (2.5e7, "2.50·10⁷"), (1712.3, "1\u202f710"),
     (999.7, "1\u202f000"), (100.04, "100"), (None, "–"), (True, "yes"), ("a", "a")],
)  # fmt: skip
def test_figure(value, text):
    assert figure(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "given", "text"),
    [(23.04, "%", False, "23.0"), (-0.0000135, "%", False, "0.00"), (-1.0484, "%", False, "−1.05"),
     (0.99869, "Dice", False, "0.999"), (1044.0, "kPa", True, "1\u202f044"), (5.5, "kPa", True, "5.5")],
)  # fmt: skip
def test_percentages_dice_and_what_was_put_in_have_their_own_digits(value, unit, given, text):
    assert number_html(value, unit, given=given) == f'<data value="{value!r}">{text}</data>'


def _judged(**levels: str) -> dict:
    """The small result with other judgements; the model used the liver and its tumour."""
    data = numbers()
    data["segmentation"]["notes"] = [
        {"segment": name, "level": level, "text": level, "volume_ml": 1.0} for name, level in levels.items()
    ]
    return data


@pytest.mark.parametrize(
    ("levels", "level", "said"),
    [
        ({"spleen": "ok", "liver": "ok"}, "ok", "no flag raised (automatic check)"),
        (
            {"spleen": "warn", "liver": "warn", "bone": "ok"},
            "warn",
            "look at liver, of which the model is made; look at spleen",
        ),
        ({"spleen": "bad", "liver": "ok"}, "warn", "no flag raised on the model; look at spleen beside it"),
        ({"spleen": "warn", "liver": "bad"}, "bad", "not to be trusted: liver"),
        ({"liver": "ok", "scan": "warn"}, "warn", "the scan as a whole needs a look"),
        ({}, "bad", "not to be trusted"),
    ],
)
def test_the_pill_never_says_more_than_the_table(levels, level, said):
    data = _judged(**levels)
    data["segmentation"]["used"] = ["liver", "liver_tumor"]
    pill = segmentation_pill(data)
    assert pill is not None
    assert pill.level == level
    assert said in pill.text


def test_what_was_missed_of_the_truth_is_told_below_the_table(folder):
    result = ResultFolder.open(folder)
    data = dict(result.data)
    missed = {
        "name": "gallbladder",
        "dice": 0.0,
        "volume_ml": 0.0,
        "truth_volume_ml": 31.0,
        "difference_percent": -100.0,
    }
    data["agreement"] = [*data["agreement"], missed]
    data["agreement_remarks"] = ["In the truth, but not in the labels (Dice 0): gallbladder."]
    section = render_report(replace(result, data=data)).partition('id="agreement"')[2].partition("</section>")[0]
    assert "not in the labels (Dice 0): gallbladder." in section
    assert "100" not in section


def test_what_the_scan_cuts_beside_the_model_is_told_last_and_result_json_says_the_same():
    session = small_session()
    assert session.segmentation is not None
    liver, spleen = session.segmentation.notes
    cut = replace(spleen, segment="bone", level="warn", touches_border=True, only_cut=True)
    notes = (cut, replace(liver, level="ok"), replace(spleen, level="warn"))
    session.segmentation = replace(session.segmentation, notes=notes, trusted=True)
    data = result_dict(session)
    pill = segmentation_pill(data)
    assert pill is not None
    assert pill.level == "warn"
    said = "no flag raised on the model; look at spleen beside it; not in the model and cut by the scan's edge: bone"
    assert said in pill.text
    assert data["segmentation"]["text"] == f"3 structures, portal phase. {pill.text}"
    session.segmentation = replace(session.segmentation, notes=notes[:2])
    pill = segmentation_pill(result_dict(session))
    assert pill is not None
    assert pill.level == "ok"


def test_a_bad_part_of_what_the_model_used_is_red_also_in_a_result_without_a_list():
    data = _judged(liver_tumor="bad", spleen="warn")
    del data["segmentation"]["used"]
    pill = segmentation_pill(data, carried=["liver"])
    assert pill is not None
    assert (pill.level, pill.text) == ("bad", "Segmentation not to be trusted: liver tumour")


def test_the_lumen_that_a_wall_was_made_around_counts_as_used():
    """No lumen is meshed, but the wall's place is nothing else than its outline."""
    session = small_session()
    session.scene = load_scene("aneurysm-wall")
    assert session.segmentation is not None
    seen = tuple(QualityNote(name, 40.0, 1, 0, 0.0, True, True, "warn", "") for name in ("bone", "aorta"))
    session.segmentation = replace(session.segmentation, notes=seen)
    assert result_dict(session)["segmentation"]["used"] == ["aorta"]


def test_what_holds_the_organ_counts_as_used_where_it_holds():
    """The caval vein carries a support: where that found something to hold on to, the result stands on the vein."""
    session = small_session()
    assert session.segmentation is not None
    assert session.outcome is not None
    seen = [QualityNote(name, 40.0, 1, 0, 0.0, True, True, "ok", "") for name in ("inferior_vena_cava", "spleen")]
    session.segmentation = replace(session.segmentation, notes=tuple(seen))
    assert result_dict(session)["segmentation"]["used"] == []
    held = {**session.outcome.node_sets, "inferior vena cava": np.arange(3)}
    session.outcome = replace(session.outcome, node_sets=held)
    assert result_dict(session)["segmentation"]["used"] == ["inferior_vena_cava"]


def test_no_key_of_a_scene_stands_in_the_report_and_every_one_in_the_result():
    session = small_session()
    assert session.outcome is not None
    held = {**session.outcome.node_sets, "inferior vena cava": np.arange(3)}
    told = assumptions(session.scene, replace(session.outcome, node_sets=held))
    words = " ".join(f"{one.name} {one.value}" for one in told)
    assert "the surface within 4 mm of the inferior vena cava" in words
    for raw in ("_", "LPS", "(0,", "tumor "):
        assert raw not in words
    keys = [one.key for one in told]
    assert "options.strain_limit" in keys
    assert "options.supports.2.where" in keys
    assert all(key.split(".")[0] in ("options", "patient") for key in keys)


def test_where_nothing_tells_what_was_used_a_bad_segment_is_red():
    data = _judged(aorta="bad", spleen="ok")
    del data["segmentation"]["used"], data["meshes"]
    pill = segmentation_pill(data)
    assert pill is not None
    assert pill.level == "bad"


def test_names_are_written_as_they_are_spoken():
    names = {"lung_left": "Left lung", "liver_tumor": "Liver tumour", "aorta": "Aorta", "left": "Left"}
    assert {name: words_of(name) for name in names} == names


def test_the_first_line_tells_whose_scan_it_is(folder, page):
    assert numbers()["patient"] == {
        "source": "phantom", "modality": None, "voxels": [30, 30, 30], "spacing_mm": [4.0, 4.0, 4.0]
    }  # fmt: skip
    assert numbers()["segmentation"]["used"] == ["liver"]
    grid = "30 × 30 × 30 voxels of 4.00 × 4.00 × 4.00 mm · portal phase"
    assert f"Embedded phantom, not a patient · {grid}" in page.text
    assert page.text.index("Embedded phantom") < page.text.index("Computation converged")
    data = numbers()
    data["patient"].update(source="scan", modality="CT")
    for command, said in (("preop run x --dicom PATH", "given with --dicom"), ("preop run PATH", "named in the scene")):
        data["provenance"]["command"] = command
        (folder / "result.json").write_text(json.dumps(data))
        assert f"Scan {said} · CT · {grid}" in Page(render_report(ResultFolder.open(folder))).text


def test_the_words_are_a_surgeons_not_a_programmers(folder):
    data = numbers()
    data["solver"].update(linear_solver="HostSystem", cg_iterations=217, stability="stable")
    data["solver"]["seconds"].update(krylov=7.5, stability=1.2)
    data["solver"]["steps"][0].update(newton_iterations=0, energy_J=0.5, min_jacobian=0.9)
    data["numbers"][0].update(name="Liver tumor 1: displacement")
    (folder / "result.json").write_text(json.dumps(data))
    page = Page(render_report(ResultFolder.open(folder)))
    for told in (
        "assembled matrix, multigrid (CPU)", "Conjugate-gradient iterations", "Linear solver, s",
        "Energy [J]", "Smallest det F", "Liver tumour 1", "the body as it was scanned", "Automatic check",
        "Balance of the last state stable", "Check of the balance, s",
    ):  # fmt: skip
        assert told in page.text
    for foreign in ("HostSystem", "krylov", "jacobian", "tumor", " ml ", "[ml]"):
        assert foreign not in page.text


def test_sections_stand_in_the_order_of_interest_and_the_machinery_is_folded(page):
    ids = [attributes.get("id") for tag, attributes in page.tags if tag == "section"]
    assert ids == ["results", "pictures", "segmentation", "agreement", "assumptions", "mesh", "solver", "provenance"]
    tags = [(tag, attributes.get("id")) for tag, attributes in page.tags]
    for section, inside in (("mesh", "mesh-1"), ("solver", "solver-steps")):
        between = tags[tags.index(("section", section)) : tags.index(("table", inside))]
        assert ("details", None) in between
    assert not [1 for tag, attributes in page.tags if tag == "details" and "open" in attributes]


def test_histogram_is_in_proportion():
    svg = histogram_svg([1, 4, 2], [0.0, 0.5, 1.0, 2.0], "quality <x>")
    bars = [(float(w), float(h)) for w, h in re.findall(r'<rect [^>]*width="([\d.]+)" height="([\d.]+)"', svg)]
    assert bars[1][1] == pytest.approx(4 * bars[0][1], rel=0.01)
    assert bars[2][0] + 1 == pytest.approx(2 * (bars[0][0] + 1), rel=0.01)
    assert "7 in all" in svg
    assert "&lt;x&gt;" in svg
    with pytest.raises(ValueError, match="need 3 edges"):
        histogram_svg([1, 2], [0, 1], "x")


def test_writing_tells_of_every_file(tmp_path):
    heard = []
    session = small_session(tmp_path)
    session.progress = lambda fraction, message: heard.append((fraction, message))
    folder = tmp_path / "out"
    folder.mkdir()
    write_result(session, folder, pictures=False)
    for words in ("liver vtp", "liver tumour glb", "fields of load step 2 of 2"):
        assert any(words in message for _, message in heard), words
    told = [fraction for fraction, _ in heard if fraction is not None]
    assert told == sorted(told)
