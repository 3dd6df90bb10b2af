"""The reference problems within their limits, and the machinery that says so."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from preop.engine.tissue.verification import inflation
from preop.engine.tissue.verification.case import Case, Computed, Quantity
from preop.engine.tissue.verification.limits import Limit, digits, order
from preop.engine.tissue.verification.registry import CASES
from preop.engine.tissue.verification.run import Row, compare, select, verify
from preop.imaging.errors import SolverError

PAGE = Path(__file__).parents[2] / "docs" / "verification.md"
LIMIT = Limit(0.01, "for a test")


LONG = {"hertz-ball-T10", "hertz-plane-T10", "element-T10-order", "shell-cylinder", "shell-roof", "silicone-cylinder"}
"""More than half a minute; of each kind but the silicone a shorter one stays."""


def _marks(case: Case) -> list[pytest.MarkDecorator]:
    return [] if case.quick else [pytest.mark.slow, *([pytest.mark.long] if case.name in LONG else [])]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name, marks=_marks(case)) for case in CASES])
def test_case(case: Case) -> None:
    """Each quantity of each case lies within its limit."""
    (outcome,) = verify([case])
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert not outcome.failure
    assert outcome.rows
    for row in outcome.rows:
        assert row.error <= row.quantity.limit.value, (
            f"{row.quantity.name}: {row.computed} not {row.quantity.reference}"
        )


def test_names_are_unique_and_limits_have_reasons() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    for case in CASES:
        assert case.source
        assert case.quantities
        for quantity in case.quantities:
            assert math.isfinite(quantity.reference)
            assert 0 < quantity.limit.value < math.inf
            assert quantity.limit.reason
            assert quantity.measure != "relative" or quantity.reference
            assert json.dumps(Row(quantity, 1.0, quantity.error(1.0)).to_dict(), allow_nan=False)


def test_page_lists_every_case() -> None:
    """`docs/verification.md` is made by `preop verify tissue --markdown`; make it anew when a case joins."""
    listed = re.findall(r"^\| `([^`]+)` (?:q )?\|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert listed == [case.name for case in CASES]


def invented(value: float, measure: str = "relative", reference: float = 2.0, missing: str = "") -> Case:
    quantity = Quantity("x", reference, LIMIT, measure=measure)  # pyright: ignore[reportArgumentType]
    return Case("invented", "a test", (quantity,), lambda _: Computed({"x": value}, "none"), missing=lambda: missing)


@pytest.mark.parametrize(
    ("measure", "value", "passes"),
    [("relative", 2.019, True), ("relative", 1.979, False), ("absolute", 2.009, True), ("absolute", 1.98, False),
     ("at least", 5.0, True), ("at least", 1.98, False), ("at most", -5.0, True), ("at most", 2.02, False),
     ("relative", math.nan, False), ("at most", -math.inf, False)],
)  # fmt: skip
def test_errors_are_measured_as_said(measure: str, value: float, passes: bool) -> None:
    (outcome,) = verify([invented(value, measure)])
    assert outcome.passed is passes
    assert outcome.rows[0].to_dict()["computed"] == (value if math.isfinite(value) else None)


def test_a_case_that_cannot_be_computed_fails_and_one_without_its_data_is_left_out() -> None:
    def stopped(_: object) -> Computed:
        raise SolverError("no balance", where="here", advice="Push less")

    broken = Case("broken", "a test", (Quantity("x", 1.0, LIMIT),), stopped)
    failed, left = verify([broken, invented(0.0, missing="no data")])
    assert not failed.passed
    assert failed.failure == "here: no balance. Push less"
    assert not failed.rows[0].passed
    assert left.skipped == "no data"
    assert left.to_dict()["passed"] is False
    with pytest.raises(ValueError, match="promises"):
        compare(broken, Computed({"y": 1.0}, ""))


def test_selection_by_name_and_length() -> None:
    cases = [invented(1.0), Case("long-one", "a test", (), lambda _: Computed({}, ""), quick=True)]
    assert [case.name for case in select(cases, pattern="long")] == ["long-one"]
    assert [case.name for case in select(cases, pattern="*e*", quick=True)] == ["long-one"]
    with pytest.raises(SolverError, match="no case matches"):
        select(cases, pattern="short")
    with pytest.raises(SolverError, match="Leave out --quick"):
        select(cases, pattern="invented", quick=True)


def test_limits_add_up() -> None:
    limit = order(4, 10) + digits(0.5, 0.01)
    assert limit.value == pytest.approx(1e-4 + 0.01)
    assert "(h/L)^4" in limit.reason
    assert "rounded to 0.01" in limit.reason


def test_the_tables_of_inflation_are_those_of_the_integrals() -> None:
    """The references' page against an independent quadrature."""
    for stretch, cylinder, sphere in zip(inflation.STRETCHES, inflation.CYLINDER, inflation.SPHERE, strict=True):
        assert inflation.pressure_of_cylinder(stretch) == pytest.approx(cylinder, abs=6e-7)
        assert inflation.pressure_of_sphere(stretch) == pytest.approx(sphere, abs=6e-7)


def test_the_table_of_the_elastica_is_that_of_its_equation() -> None:
    from scipy.integrate import solve_ivp
    from scipy.optimize import brentq

    from preop.engine.tissue.verification.elastica import TABLE

    for load, (across, along) in TABLE.items():

        def shot(bend: float, load: float = load) -> np.ndarray:
            def slope(_: float, y: np.ndarray) -> list[float]:
                return [y[1], -load * np.cos(y[0]), np.cos(y[0]), np.sin(y[0])]

            return solve_ivp(slope, (0, 1), [0, bend, 0, 0], rtol=1e-10, atol=1e-12).y[:, -1]

        bend = brentq(lambda k, shot=shot: shot(k)[1], 0, 1.001 * load)
        assert [shot(bend)[3], 1 - shot(bend)[2]] == pytest.approx([across, along], abs=6e-6)


def test_the_thin_shells_are_those_of_their_series() -> None:
    """Fourier and Legendre, nothing of the engine; with twice the terms the digits given no longer change."""
    import shell_series

    from preop.engine.tissue.verification.curved_shells import THIN

    assert shell_series.roof(10, 24) == pytest.approx(THIN["roof"], abs=0.5e-5)
    assert shell_series.roof(20, 32) == pytest.approx(THIN["roof"], abs=0.5e-5)
    assert shell_series.cylinder(100) == pytest.approx(THIN["cylinder"], abs=1e-9)
    assert shell_series.cylinder(200) == pytest.approx(THIN["cylinder"], abs=0.5e-9)
    assert shell_series.hemisphere(12, 32) == pytest.approx(THIN["hemisphere"], abs=3e-5)
    assert shell_series.hemisphere(50, 64) == pytest.approx(THIN["hemisphere"], abs=0.5e-5)


@pytest.mark.slow
def test_the_ventricle_of_problem_2_is_that_of_another_solver() -> None:
    """Bodies of revolution, nine-node quadrilaterals, nothing of the engine: the error falls to what is claimed."""
    from land_axisymmetric import apex_heights

    from preop.engine.tissue.verification.heart import OWN

    coarse, fine = (np.abs(np.subtract(apex_heights(*cells), OWN)) for cells in ((12, 2), (24, 4)))
    assert (coarse < 0.03).all()
    assert (fine < 0.005).all()
