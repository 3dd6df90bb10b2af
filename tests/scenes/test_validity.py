"""What leaves the ground of the law or the elements is told: locking, too much strain, a modulus in another unit."""

from __future__ import annotations

import numpy as np
import pytest

from preop.engine.tissue.tissues import TISSUES
from preop.scenes.procedures.validity import doubts
from preop.scenes.schema import TissueChoice

LIVER = TissueChoice(tissue="liver")
VOLUMES = np.full(1000, 2.0)
REST = np.zeros(1000)


def told(choice: TissueChoice = LIVER, element: str = "T4", strains=(REST,)) -> list[str]:
    return doubts({"options.regions.liver": choice}, element, list(strains), VOLUMES)


def test_nothing_is_told_of_what_the_built_in_scenes_use():
    for name in TISSUES:
        assert told(TissueChoice(tissue=name)) == []
    assert told(TissueChoice(tissue="hepatic_vessel", young_kPa=62)) == []


@pytest.mark.parametrize(("poisson", "element", "warned"), [
    (0.45, "T4", False), (0.451, "T4", True), (0.49, "T4", True), (0.49, "T10", False),
])  # fmt: skip
def test_linear_elements_lock_above_045(poisson, element, warned):
    lines = told(TissueChoice(tissue="liver", poisson=poisson), element)
    assert bool(lines) is warned
    for line in lines:
        assert f"options.regions.liver.poisson is {poisson:g}: linear elements lock" in line
        assert "solver.element=T4P1" in line


def test_strain_beyond_the_law_is_told_by_volume_and_not_by_one_element():
    few, more = REST.copy(), REST.copy()
    few[:9], more[:12] = 17.0, 2.5  # 0.9 % and 1.2 % of the volume
    assert told(strains=(REST, few)) == []
    (line,) = told(strains=(more, REST))  # on the way there counts too
    assert "strained by 250 %" in line
    assert "not made for more than 100 %" in line
    assert told(strains=(np.full(1000, 1.0),)) == []


@pytest.mark.parametrize(
    ("tissue", "young_kPa", "meant"),
    [("liver", 5500, "Pa"), ("aneurysm_wall", 1.044, "MPa"), ("liver", 400, ""), ("liver_cirrhotic", 75, "")],
)
def test_a_modulus_far_from_what_was_measured_is_asked_about(tissue, young_kPa, meant):
    lines = told(TissueChoice(tissue=tissue, young_kPa=young_kPa))
    if not meant:
        assert lines == []
        return
    (line,) = lines
    assert f"young_kPa is {young_kPa:g} kPa" in line
    assert f"was {meant} meant?" in line
