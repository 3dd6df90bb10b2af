"""Bad meshes, materials and parts: refused in one line that says what is wrong, where, and what to give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bodies
import jax
import numpy as np
import pytest
from refusals import refused

from preop.engine.tissue import bone, fibers, laplace
from preop.engine.tissue.materials import (
    MATERIALS,
    ActiveContraction,
    DecoupledNeoHookean,
    Guccione,
    HolzapfelGasserOgden,
    MooneyRivlin,
    NeoHookean,
    ResidualStrain,
    SaintVenantKirchhoff,
    Sheet,
    Strand,
)
from preop.engine.tissue.model import Model
from preop.engine.tissue.parts import Part
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import PreopError
from preop.meshing.mesh import TetMesh

NAN, INF = float("nan"), float("inf")
LAW = NeoHookean.from_young(1e4, 0.3)
MESH = bodies.box((1, 1, 1), size=(10.0, 10.0, 10.0))
POINTS, TETS = np.asarray(MESH.points), np.asarray(MESH.tetrahedra)
MODEL = Model.from_mesh(MESH, {"body": LAW})
WALL = laplace.laplace(MESH, "x0", "x1")
LINE = bone.Calibration(0.0, 1e-3)


def mesh(points: Any = POINTS, cells: Any = TETS, region: Any = None) -> TetMesh:
    labels = np.ones(len(cells), int) if region is None else region
    return TetMesh(points, cells, labels, {1: "body"}, node_sets=MESH.node_sets)


def model(law: Any = LAW, body: Any = MESH, **options: Any) -> Model:
    return Model.from_mesh(body, {"body": law}, **options)


def held(body: Any) -> Any:
    return model(body=body).problem(supports=[Fixed("z0")])


def part(points: Any = None, kind: Any = "T4", nodes: Any = TETS, law: Any = LAW, **options: Any) -> Model:
    return Model.from_parts(1e-3 * POINTS if points is None else points, [Part(kind, nodes, law, **options)])


def one_bad(value: float, row: int = 3) -> np.ndarray:
    points = POINTS.copy()
    points[row] = value
    return points


def muscle(fiber: Any, bulk: float = 1e5) -> Guccione:
    return Guccione(2e3, 8.0, 2.0, 4.0, fiber, bulk_modulus=bulk)


def fiber_field(row: int, value: Any) -> np.ndarray:
    field = np.tile([1.0, 0.0, 0.0], (len(TETS), 1))
    field[row] = value
    return field


def one_law(value: float) -> np.ndarray:
    """Of shear moduli by element, that of element 4."""
    moduli = np.full(len(TETS), 4e3)
    moduli[4] = value
    return moduli


def fibrous(fiber: Any, modulus: float = 2e3) -> HolzapfelGasserOgden:
    return HolzapfelGasserOgden(3e3, modulus, 0.84, 0.1, fiber, (0.0, 1.0, 0.0), bulk_modulus=3e5)


def grown(value: float) -> ResidualStrain:
    """A residual strain of I, but for element 4."""
    strain = np.tile(np.eye(3), (len(TETS), 1, 1))
    strain[4] *= value
    return ResidualStrain(LAW, strain)


def halves() -> TetMesh:
    """A bar cut through by duplicated nodes: its right half is loose."""
    whole = bodies.box((2, 1, 1), size=(10.0, 10.0, 10.0))
    middle = np.flatnonzero(np.isclose(whole.points[:, 0], 5.0))
    copy = np.arange(len(whole.points))
    copy[middle] = len(whole.points) + np.arange(len(middle))
    right = whole.points[whole.tetrahedra].mean(axis=1)[:, 0] > 5.0
    cells = np.where(right[:, None], copy[whole.tetrahedra], whole.tetrahedra)
    return TetMesh(np.vstack([whole.points, whole.points[middle]]), cells, whole.region, {1: "body"},
                   node_sets={"z0": np.flatnonzero(whole.points[:, 0] == 0.0)})  # fmt: skip


Cases = dict[str, tuple[Callable[[], Any], str]]

MESHES: Cases = {
    "NaN": (lambda: mesh(one_bad(NAN)), "point 3 is not finite"),
    "infinite": (lambda: mesh(one_bad(INF)), "point 3 is not finite"),
    "inverted": (lambda: mesh(cells=TETS[:, [1, 0, 2, 3]]), r"6 tetrahedra .* element 0 at"),
    "two nodes the same": (lambda: mesh(cells=np.array([[0, 0, 1, 2]])), "no positive volume"),
    "node out of range": (lambda: mesh(cells=TETS + 100), "node"),
    "negative node": (lambda: mesh(cells=np.where(TETS == 0, -1, TETS)), "node"),
    "half a node": (lambda: mesh(cells=TETS + 0.5), "whole numbers"),
    "complex": (lambda: mesh(POINTS + 1j), "real numbers"),
    "words": (lambda: mesh(np.array([["a", "b", "c"]] * 8)), "real numbers"),
    "labels": (lambda: mesh(region=[1]), "region labels"),
    "empty": (lambda: model(body=mesh(cells=np.zeros((0, 4), int))), "no tetrahedra"),
    "no mesh": (lambda: model(body=None), "NoneType is no mesh"),
    "in metres": (lambda: model(body=mesh(1e-3 * POINTS)), "measures 0.01 mm.*metres"),
    "in nanometres": (lambda: model(body=mesh(1e6 * POINTS)), "measures 1e.07 mm"),
    "a loose node": (lambda: held(mesh(np.vstack([POINTS, [[1, 1, 1]]]))), r"belong to no element, the first: 8 at"),
    "an element twice": (lambda: held(mesh(cells=np.vstack([TETS, TETS[:1]]))), r"elements 0, .*6 share one face at"),
    "duplicate nodes": (lambda: held(halves()), r"part of 8 nodes around \[7.5"),
    "element": (lambda: model(element="T5"), "T5"),
    "hexahedra of tetrahedra": (lambda: model(element="H8"), "cannot be made of a TetMesh"),
    "membrane of tetrahedra": (lambda: model(element="M3"), "cannot be made of a TetMesh"),
}
MATERIAL: Cases = {
    "no names": (lambda: Model.from_mesh(MESH, LAW), "NeoHookean names no regions"),  # pyright: ignore[reportArgumentType]
    "none": (lambda: model(None), "no material"),
    "a class": (lambda: model(NeoHookean), "NeoHookean is no material"),
    "a sheet": (lambda: model(Sheet(LAW, 1e-3)), "Sheet is no material of a solid"),
    "unknown region": (lambda: Model.from_mesh(MESH, {"liver": LAW}), "'body' .* has no material"),
    "one region too many": (lambda: Model.from_mesh(MESH, {"body": LAW, "liver": LAW}), "which the mesh does not have"),
    "ν = ½, T4": (lambda: model(NeoHookean.from_young(1e4, 0.5)), "incompressible .* which T4 cannot be"),
    "K = ∞, T4": (lambda: model(muscle((1.0, 0, 0), INF)), "incompressible .* which T4 cannot be"),
    "wrong length": (lambda: model(NeoHookean.from_young(np.full(5, 1e4), 0.3)), r"has shape \(5,\)"),
    "a list": (lambda: model(NeoHookean([1e4] * 6, 1e4)), "is a list"),  # pyright: ignore[reportArgumentType]
    "complex modulus": (lambda: model(NeoHookean(1e4 + 1j, 1e4)), "no real number"),  # pyright: ignore[reportArgumentType]
    "modulus in words": (lambda: model(NeoHookean("a", 1e4)), "no real number"),  # pyright: ignore[reportArgumentType]
    "fibre 0": (lambda: model(muscle((0, 0, 0))), r"fiber of element 0 at \[.*\] mm has length 0, not 1"),
    "fibre 2": (lambda: model(muscle((2.0, 0, 0))), "has length 2, not 1"),
    "fibre NaN": (lambda: model(muscle(fiber_field(2, NAN))), "fiber of element 2 at .* is not finite"),
    "fibre 0 in one": (lambda: model(muscle(fiber_field(3, 0.0))), "fiber of element 3 at .* has length 0"),
    "fibre in 2D": (lambda: model(muscle((1.0, 0.0))), "has shape"),
    **{f"{value} in one": (lambda value=value: model(NeoHookean(one_law(value), 1e4)), rf"element 4 at .* mm: {words}")
       for value, words in ((NAN, "a modulus is not finite"), (2.0, "Young's modulus"), (-1.0, "the shear and bulk"))},
    "ν = ½ in one": (lambda: model(NeoHookean(4e3, one_law(INF))), "element 4 at .* mm is incompressible"),
    "residual strain NaN in one": (lambda: model(grown(NAN)), "element 4 at .* mm: a residual strain is not finite"),
    "inside out in one": (lambda: model(grown(-1.0)), "element 4 at .* mm: .* determinant -1; it must be positive"),
    "K in kPa": (lambda: model(MooneyRivlin(1e3, 1e2, bulk_modulus=5.0)), "5 Pa beside a shear modulus of 2200 Pa"),
    "κ in kPa": (lambda: model(DecoupledNeoHookean(4e3, 100.0)), "bulk modulus is 100 Pa beside"),
    "k₁ in kPa": (lambda: model(fibrous((1.0, 0, 0), 2.36)), "fiber modulus is 2.36 Pa, softer than"),
    "tension in kPa": (lambda: model(ActiveContraction(LAW, 60.0, (1.0, 0, 0))), "tension is 60 Pa; muscle reaches"),
    "fibre of another mesh": (lambda: model(muscle(np.ones((5, 3)))), "has shape"),
    **{f"density {value}": (lambda value=value: model(density=value), "density|kg/m³")
       for value in (NAN, -1.0, 1.0, 1e6, "a", None)},
    "density in a list": (lambda: model(density=np.array([1e3, 1e3])), "give one number"),
    "density of no region": (lambda: model(density={"livr": 1e3}), "which the mesh does not have"),
    **{f"{law.name} E={young}, ν={poisson}": (lambda law=law, e=young, n=poisson: law.from_young(e, n), words)
       for law in (NeoHookean, SaintVenantKirchhoff)
       for young, poisson, words in (
           (1e4, 0.6, "Poisson's ratio is 0.6"), (1e4, -1.0, "Poisson's ratio is -1"), (1e4, NAN, "ratio is nan"),
           (0.0, 0.3, "is 0 Pa; it must be positive"), (-1.0, 0.3, "must be positive"), (NAN, 0.3, "nan Pa"),
           (5.0, 0.3, "5 Pa, softer than any tissue; give it in Pa"), (1e14, 0.3, "stiffer than any material"),
           ("a", 0.3, "real numbers"), (1e4 + 1j, 0.3, "real numbers"), (1e4, "a", "real numbers"))},
}  # fmt: skip
PARTS: Cases = {
    "NaN": (lambda: part(1e-3 * one_bad(NAN)), r"points is not finite \(nan, first entry \[3, 0\]\)"),
    "in 2D": (lambda: part(POINTS[:, :2]), "points has shape"),
    "words": (lambda: part("a"), "no number"),
    "complex": (lambda: part(POINTS + 1j), "complex"),
    "inverted": (lambda: part(nodes=TETS[:, [1, 0, 2, 3]]), "turned inside out"),
    "flat": (lambda: part(nodes=np.array([[0, 0, 1, 2]])), "has no size"),
    "out of range": (lambda: part(nodes=TETS + 99), "not among 8 nodes"),
    "negative": (lambda: part(nodes=np.where(TETS == 0, -1, TETS)), "node -1 is not among"),
    "fractions": (lambda: part(nodes=TETS + 0.5), "no indices"),
    "none": (lambda: part(nodes=np.zeros((0, 4), int)), "nodes each"),
    "element": (lambda: part(kind="T7"), "T7"),
    "no material": (lambda: part(law=None), "NoneType is no material"),
    "sheet in a solid": (lambda: part(law=Sheet(LAW, 1e-3)), "needs the material of a solid"),
    "ν = ½": (lambda: part(law=NeoHookean.from_young(1e4, 0.5)), "incompressible"),
    "fibre 0": (lambda: part(law=muscle((0.0, 0, 0))), "fiber of element 0 at .* has length 0"),
    "fibre NaN": (lambda: part(law=muscle(fiber_field(4, NAN))), "fiber of element 4 at .* is not finite"),
    "modulus of 5": (lambda: part(law=NeoHookean(2.0, 2.0)), "softer than any tissue"),
    "density": (lambda: part(density=NAN), "density"),
    "no list": (lambda: Model.from_parts(POINTS, Part("T4", TETS, LAW)), "needs parts"),  # pyright: ignore[reportArgumentType]
    "set": (lambda: Model.from_parts(POINTS, [Part("T4", TETS, LAW)], node_sets={"a": [99]}), "99 is not among"),
    "facets": (lambda: Model.from_parts(POINTS, [Part("T4", TETS, LAW)], facet_sets={"a": [1, 2, 3]}), "facets must"),
    **{f"sheet of {value} m": (lambda value=value: MODEL.with_sheet("z1", Sheet(LAW, value)), "thickness|real")
       for value in (NAN, INF, 0.0, -1.0, "a")},
    **{f"strand of {value} N": (lambda value=value: MODEL.with_strands("s", [(0, 7)], Strand(value, 1e-6)), "EA|real")
       for value in (NAN, INF, 0.0, -1.0, "a")},
    "sheet of no set": (lambda: MODEL.with_sheet("q", Sheet(LAW, 1e-3)), "no facet set"),
    "sheet of a law": (lambda: MODEL.with_sheet("z1", LAW), "needs a Sheet"),  # pyright: ignore[reportArgumentType]
    "sheet, K = ∞": (lambda: MODEL.with_sheet("z1", Sheet(NeoHookean.from_young(1e4, 0.5), 1e-3)), "keeps its volume"),
    "sheet in mm": (lambda: MODEL.with_sheet("z1", Sheet(LAW, 2.0)), "a sheet 2 m thick on a body of 0.01 m"),
    "strand in mm²": (lambda: MODEL.with_strands("s", [(0, 7)], Strand(1e2, 1.0)), "a strand of 1 m² on a body"),
    "fibre of a sheet": (lambda: MODEL.with_sheet("z1", Sheet(fibrous((0.0, 0, 0)), 1e-3)),
                         r"first_fiber of element 6 at .* has length 0"),
    "one fibre of a sheet": (lambda: MODEL.with_sheet("z1", Sheet(fibrous(fiber_field(1, NAN)[:2]), 1e-3)),
                             r"first_fiber of element 7 at .* is not finite"),
    "fibre of a strand": (lambda: MODEL.with_strands("s", [(0, 7)], Strand(fibrous((5.0, 0, 0)), 1e-6)), "length 5"),
    "strand to nowhere": (lambda: MODEL.with_strands("s", [(0, 99)], Strand(1e3, 1e-6)), "99 is not among"),
    "strand to itself": (lambda: MODEL.with_strands("s", [(0, 0)], Strand(1e3, 1e-6)), "has no size"),
    "strand's name": (lambda: MODEL.with_strands("body", [(0, 7)], Strand(1e3, 1e-6)), "is taken"),
}  # fmt: skip
FIELDS: Cases = {
    **{f"direction {value}": (lambda value=value: fibers.constant(MESH, value), words)
       for value, words in (((0, 0, 0), "element 0 at .* has the length 0"), ((NAN, 0, 0), "not finite"),
                            ((1, 0), "shape"), (1.0, "shape"), ("abc", "no number"), ((1j, 0, 0), "complex"))},
    "field in 2D": (lambda: fibers.from_function(MESH, lambda x: x[:, :2]), r"shape \(6, 2\) for \(6, 3\)"),
    "field NaN": (lambda: fibers.from_function(MESH, lambda x: NAN * x), "element 0 at .* is not finite"),
    "helix angle": (lambda: fibers.helix(MESH, WALL, axis=(0, 0, 1), inner=NAN), "angle is not finite"),
    "helix axis": (lambda: fibers.helix(MESH, WALL, axis=(1, 0, 0)), "axis across the wall"),
    "another mesh": (lambda: fibers.helix(bodies.box((2, 1, 1)), WALL, axis=(0, 0, 1)), "not of this mesh"),
    "same side": (lambda: laplace.laplace(MESH, "x0", "x0"), "lies on both sides"),
    "no set": (lambda: laplace.laplace(MESH, "q", "x0"), "no set is named 'q'"),
    "index": (lambda: laplace.laplace(MESH, np.array([99]), "x0"), "not all among the 8 nodes"),
    "no nodes": (lambda: laplace.laplace(MESH, np.zeros(0, int), "x0"), "is empty"),
    **{f"{value} HU": (lambda value=value: bone.bone_stiffness([100.0, value], "vertebra", LINE), "element 1 has")
       for value in (NAN, INF, 1e5)},
    "HU in words": (lambda: bone.bone_stiffness("a", "vertebra", LINE), "there are no HU"),
    "no site": (lambda: bone.bone_stiffness([100.0], "toe", LINE), "no bone law"),
    "no calibration": (lambda: bone.bone_stiffness([100.0], "vertebra", None), "no calibration"),  # pyright: ignore[reportArgumentType]
    **{f"slope {value}": (lambda value=value: bone.Calibration(0.0, value), "slope|calibration")
       for value in (NAN, INF, 0.0, -1.0, 5.0, "a")},
}  # fmt: skip
TABLES = {"mesh": MESHES, "material": MATERIAL, "part": PARTS, "field": FIELDS}
ALL = {f"{kind}: {name}": case for kind, table in TABLES.items() for name, case in table.items()}


@pytest.mark.parametrize("name", ALL)
def test_it_is_refused_in_one_line(name: str) -> None:
    refused(*ALL[name], kind=PreopError)


def spoiled() -> list[tuple[str, Any, float]]:
    """Every parameter of every material, not a number or infinite; an infinite bulk modulus is one a T4 refuses."""
    return [(f"{name}{jax.tree_util.keystr(path)} = {value}", (name, index), value)
            for name, kind in MATERIALS.items()
            for index, (path, _) in enumerate(jax.tree_util.tree_flatten_with_path(kind.example())[0])
            for value in (NAN, INF)]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), [pytest.param(p, v, id=name) for name, p, v in spoiled()])
def test_no_parameter_may_be_nan_or_infinite(place: tuple[str, int], value: float) -> None:
    leaves, structure = jax.tree.flatten(MATERIALS[place[0]].example())
    leaves[place[1]] = np.full(np.shape(leaves[place[1]]), value)
    with pytest.raises(PreopError, match="material of region 'body'"):
        model(jax.tree.unflatten(structure, leaves))
