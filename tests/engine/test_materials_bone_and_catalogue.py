"""Bone from Hounsfield units, and the catalogue of tissues with its nonlinear laws."""

from __future__ import annotations

from typing import get_args

import bodies
import numpy as np
import pytest

from preop.engine.tissue.bone import BONE_LAWS, Calibration, bone_stiffness
from preop.engine.tissue.materials import MATERIALS, Guccione, NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.tissues import TISSUES, Confirmed
from preop.imaging.errors import SolverError

SCANNER = Calibration.from_points((0.0, 0.0), (1000.0, 0.8))


@pytest.mark.parametrize(
    ("site", "hounsfield", "megapascals"),
    [
        ("vertebra", 250.0, 4730 * 0.2**1.56),
        ("spine_and_femur", 1500.0, 10500 * (0.598 * 1.2) ** 2.29),
        ("femoral_neck", 625.0, 6850 * 0.5**1.49),
        ("any", 2250.0, 3790 * 0.01**0.06 * 1.8**3),
    ],
)
def test_modulus_by_site(site: str, hounsfield: float, megapascals: float) -> None:
    """Density by the scanner's line, modulus by the law of the site, MPa and g/cm³ as published."""
    found = bone_stiffness(hounsfield, site, SCANNER)
    assert found.young == pytest.approx(1e6 * megapascals, rel=1e-12)
    assert not found.below.any()
    assert not found.above.any()


def test_bone_laws_are_of_the_order_of_the_catalogue() -> None:
    """Compact bone at 1.8 g/cm³ lies in cortical bone's range; Morgan's two sites differ by less than two."""
    low, high = TISSUES["cortical_bone"].young_range
    assert low < BONE_LAWS["any"].young(1.8) < 1.1 * high
    assert 1 < BONE_LAWS["femoral_neck"].young(0.25) / BONE_LAWS["vertebra"].young(0.25) < 2
    trabecular = TISSUES["trabecular_bone"].young_range
    assert trabecular[0] < BONE_LAWS["vertebra"].young(0.18) < trabecular[1]


def test_densities_outside_of_a_law_are_told() -> None:
    """Fat takes the stiffness of the lowest density, compact bone is extrapolated up to 2 g/cm³."""
    found = bone_stiffness([-100.0, 600.0, 1500.0, 3000.0], "femoral_neck", SCANNER)
    assert found.below.tolist() == [True, False, False, False]
    assert found.above.tolist() == [False, False, True, True]
    assert found.density == pytest.approx([0.1, 0.48, 1.2, 2.0])
    assert "25 % of the elements lighter" in found.summary()
    assert "50 % denser" in found.summary()


def test_a_phantom_of_hydroxyapatite() -> None:
    """ρ_ash = 0.079 + 0.877 ρ_QCT and ρ = ρ_ash/0.598 (Schileo et al. 2008): 0.2 g/cm³ of mineral are 0.425 g/cm³."""
    scanner = Calibration.from_phantom(0.0, 0.0008)
    assert scanner.intercept + scanner.slope * 250.0 == pytest.approx((0.079 + 0.877 * 0.2) / 0.598, rel=1e-12)


BAD = {
    "site": (lambda: bone_stiffness(100.0, "elbow", SCANNER), "no bone law for 'elbow'"),
    "nan": (lambda: bone_stiffness([0.0, np.nan], "vertebra", SCANNER), "element 1 has nan HU"),
    "metal": (lambda: bone_stiffness([0.0, 0.0, 9000.0], "vertebra", SCANNER), "element 2 has 9000 HU"),
    "kg per m3": (lambda: Calibration(0.0, 0.8), "implausible.*g/cm³"),
    "falls": (lambda: Calibration(0.0, -0.001), "does not rise"),
    "one point": (lambda: Calibration.from_points((0.0, 0.0), (0.0, 1.0)), "make no line"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case: str) -> None:
    make, words = BAD[case]
    with pytest.raises(SolverError, match=words):
        make()


def test_a_bone_by_element() -> None:
    """E per element makes a material per element."""
    mesh = bodies.box((1, 1, 1))
    hounsfield = np.linspace(200.0, 400.0, len(mesh.tetrahedra))
    stiffness = bone_stiffness(hounsfield, "vertebra", SCANNER)
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(stiffness.young, 0.3)})
    shear = 1e6 * 4730 * (0.0008 * hounsfield) ** 1.56 / 2.6
    assert np.asarray(model.blocks[0].material.shear_modulus) == pytest.approx(shear, rel=1e-12)


@pytest.mark.parametrize("name", TISSUES)
def test_catalogue(name: str) -> None:
    """A citation with its year, a default in its range, a material; every law makes one that is plausible."""
    tissue = TISSUES[name]
    low, high = tissue.young_range
    assert low <= tissue.young <= high
    assert "(19" in tissue.stiffness_source or "(20" in tissue.stiffness_source
    assert "(19" in tissue.density_source or "(20" in tissue.density_source
    assert NeoHookean.from_young(tissue.young, tissue.poisson).problems() == []
    assert tissue.confirmed in get_args(Confirmed)
    for law in tissue.laws:
        assert law.confirmed in get_args(Confirmed)
        assert "(19" in law.source or "(20" in law.source
        kind, directions = MATERIALS[law.material], {}
        for number, vector in enumerate(sorted(kind.vectors)):
            directions[vector] = np.eye(3)[number]
        made = kind(**law.parameters, **directions, bulk_modulus=1e8)  # pyright: ignore[reportCallIssue]
        assert made.problems() == []


def test_laws_are_as_stiff_as_their_tissue_is_said_to_be() -> None:
    """E at rest of incompressible isotropic laws is 3 μ: Yeoh 6 c₁, Ogden 3 Σ μₚ."""
    wall, clot = TISSUES["aneurysm_wall"], TISSUES["aortic_thrombus"]
    assert 6 * wall.laws[0].parameters["coefficients"][0] == pytest.approx(wall.young)  # pyright: ignore[reportIndexIssue]
    assert 3 * sum(clot.laws[0].parameters["moduli"]) == pytest.approx(clot.young, rel=2e-3)  # pyright: ignore[reportArgumentType]


def test_myocardium_is_as_stiff_as_its_law() -> None:
    """E along and across the fibre at rest, from the incompressible law's compliance."""
    law = TISSUES["myocardium"].laws[0]
    material = Guccione(**law.parameters, fiber=(1.0, 0.0, 0.0), bulk_modulus=1e9)  # pyright: ignore[reportArgumentType]
    modulus = np.asarray(material.elasticity(np.eye(3)[:, :, None]))[..., 0]
    normal = np.array([[modulus[i, i, j, j] for j in range(3)] for i in range(3)])
    along, across, _ = 1 / np.diag(np.linalg.inv(normal))
    assert TISSUES["myocardium"].young_range == pytest.approx((across, along), rel=1e-3)
