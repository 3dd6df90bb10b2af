"""The meshes of the reference problems: volumes, areas and sets of known bodies."""

from __future__ import annotations

import numpy as np
import pytest

from preop.engine.tissue import fields
from preop.engine.tissue.facets import outward
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.verification import meshes
from preop.imaging.errors import SolverError

LAW = {"*": NeoHookean.from_young(1e4, 0.3)}


def round_body(element: str, rings: int, sectors: int) -> Model:
    simple = Model.from_mesh(meshes.rod(rings, 2, sectors), LAW, element=element)
    return meshes.curved(simple, meshes.round_rod(2.0, 5.0))


def ball_shell(element: str, divisions: int, octants: int) -> Model:
    def place(simple: np.ndarray) -> np.ndarray:
        direction, depth = meshes.spherical(simple)
        return direction * (1.0 + depth)[:, None]

    return meshes.curved(Model.from_mesh(meshes.shell(divisions, 2, octants), LAW, element=element), place)


@pytest.mark.parametrize(("element", "within"), [("T4", 0.08), ("T10", 6e-4)])
@pytest.mark.parametrize("sectors", [1, 4])
def test_rod_has_its_volume(element: str, within: float, sectors: int) -> None:
    """π R² L; quadratic elements follow the rim to third order, and their error is squared in the area."""
    body = round_body(element, 3, sectors)
    assert fields.element_volumes(body).sum() == pytest.approx(np.pi * 20 * sectors / 4, rel=within)
    for name in ("z0", "z1", "rim"):
        outward(body, name)
    rim = np.asarray(body.points)[body.nodes_of("rim")]
    assert np.hypot(*rim[:, :2].T) == pytest.approx(np.full(len(rim), 2.0))


@pytest.mark.parametrize(("element", "within"), [("T4", 0.1), ("T10", 3e-3)])
@pytest.mark.parametrize("octants", [1, 4])
def test_shell_has_its_volume(element: str, within: float, octants: int) -> None:
    body = ball_shell(element, 4, octants)
    assert fields.element_volumes(body).sum() == pytest.approx(4 / 3 * np.pi * 7 * octants / 8, rel=within)
    for name, radius in (("inner", 1.0), ("outer", 2.0)):
        outward(body, name)
        place = np.asarray(body.points)[body.nodes_of(name)]
        assert np.linalg.norm(place, axis=1) == pytest.approx(np.full(len(place), radius))
    assert np.all(np.asarray(body.points)[body.nodes_of("z0"), 2] == 0.0)


def test_cut_planes_are_planes() -> None:
    for body, names in ((round_body("T10", 2, 1), "xy"), (ball_shell("T10", 2, 1), "xyz")):
        for axis, name in enumerate(names):
            assert len(body.facet_sets[f"{name}0"])
            assert np.all(np.asarray(body.points)[body.nodes_of(f"{name}0"), axis] == 0.0)


def test_facets_of_a_closed_body_add_up_to_nothing() -> None:
    """∮ n dA = 0 over all sides together: none is missing, none counted twice."""
    mesh = meshes.rod(3, 2, 1)
    corners = np.concatenate([mesh.points[mesh.facet_sets[name]] for name in ("z0", "z1", "rim", "x0", "y0")])
    area = 0.5 * np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.abs(area.sum(axis=0)).max() < 1e-9 * np.abs(area).sum()
    assert np.linalg.norm(area, axis=1).sum() == pytest.approx(1e6 * (2 * 0.5 + 2 * 1.0 + np.sqrt(2.0)))


def test_a_map_that_turns_elements_inside_out_is_told() -> None:
    simple = Model.from_mesh(meshes.box((1, 1, 1)), LAW)
    with pytest.raises(SolverError, match="inside out"):
        meshes.curved(simple, lambda p: p * [1.0, 1.0, -1.0])
