"""What a run assumed, gathered from the scene's options and the catalogue of tissues: the same for every procedure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .procedures import procedure
from .procedures.base import Assumption, Outcome
from .schema import Part, Place, Scene, Support, TissueChoice

SCENE, DEFAULT = "the scene", "a default of preop"
_KPA = 1e-3
_REGION_OF = {"wall": "aortic_wall", "clot": "aortic_thrombus"}
"""The mesh's regions for options that name one tissue each."""
_UNITS = {"_kPa_per_mm": "kPa/mm", "_kPa": "kPa", "_mmHg": "mmHg", "_mm": "mm", "_deg": "°"}
_UNITS_OF = {"gravity": "m/s²", "strain_limit": "Green–Lagrange strain"}
_OF_THE_MESH = ("tetrahedra", "lumen", "thrombus", "target")
"""Options that choose what is computed and on what, not what was assumed."""


def assumptions(scene: Scene, outcome: Outcome) -> tuple[Assumption, ...]:
    """Materials, supports, loads and paths as they went into a computation, each with its source."""
    options = procedure(scene.procedure).parse(scene)
    found = list(_of_part(options, "", outcome))
    if "lumen" in type(options).model_fields:
        found += _pressures(scene)
        if getattr(options, "scan_pressure_mmHg", 0.0) is None:
            found.append(_scan_pressure(scene))
    return tuple(found)


def _pressures(scene: Scene) -> list[Assumption]:
    patient = scene.patient
    return [
        Assumption(name, getattr(patient, key), "mmHg", _source(patient, key))
        for key, name in (("systolic_mmHg", "systolic pressure"), ("diastolic_mmHg", "diastolic pressure"))
    ]


def _scan_pressure(scene: Scene) -> Assumption:
    """What a vessel's scan is taken to show where the scene does not say."""
    low, high = scene.patient.diastolic_mmHg, scene.patient.systolic_mmHg
    return Assumption(
        "pressure during the scan", low + (high - low) / 3, "mmHg", "mean arterial, (2 diastolic + systolic) / 3"
    )


def _of_part(part: Part, prefix: str, outcome: Outcome) -> Iterator[Assumption]:
    for key in type(part).model_fields:
        value = getattr(part, key)
        if value is None or (not prefix and key in _OF_THE_MESH):
            continue
        yield from _of_value(part, key, value, f"{prefix}{_words(key)}", outcome)


def _of_value(part: Part, key: str, value: Any, name: str, outcome: Outcome) -> Iterator[Assumption]:
    if isinstance(value, TissueChoice):
        if _REGION_OF.get(key, key) in outcome.mesh.region_names.values() or key not in _REGION_OF:
            yield from _material(name, value)
    elif isinstance(value, Mapping):
        present = {region: choice for region, choice in value.items() if region in outcome.mesh.region_names.values()}
        for region, choice in present.items():
            yield from _material(region.replace("_", " "), choice)
    elif isinstance(value, Place):
        yield Assumption(name, _place(value), "", _source(part, key))
    elif isinstance(value, Part):
        yield from _of_part(value, f"{name}: ", outcome)
    elif isinstance(value, tuple) and value and isinstance(value[0], Support):
        for support in value:
            yield from _support(support, outcome)
    else:
        yield _plain(part, key, value, name)


def _plain(part: Part, key: str, value: Any, name: str) -> Assumption:
    unit = _UNITS_OF.get(key) or next((unit for ending, unit in _UNITS.items() if key.endswith(ending)), "")
    if isinstance(value, bool):
        return Assumption(name, "yes" if value else "no", "", _source(part, key))
    if isinstance(value, int | float):
        return Assumption(name, float(value), unit, _source(part, key))
    return Assumption(name, _text(value), unit, _source(part, key))


def _material(region: str, choice: TissueChoice) -> Iterator[Assumption]:
    """Law, E, ν and density of a region; the catalogue's citation, or the scene where it overrides the catalogue."""
    from ..engine.tissue.tissues import TISSUES

    tissue = TISSUES[choice.tissue]
    words = choice.tissue.replace("_", " ")
    stiffness = f"{tissue.stiffness_source}{f' ({tissue.note})' if tissue.note else ''}"
    rows = (
        ("Young's modulus", "kPa", tissue.young * _KPA, choice.young_kPa, stiffness),
        ("Poisson ratio", "", tissue.poisson, choice.poisson, "a choice of the model: nearly incompressible"),
        ("density", "kg/m³", tissue.density, choice.density, tissue.density_source),
    )
    yield Assumption(f"{region}: material", f"neo-Hookean, as {words}", "", SCENE)
    for quantity, unit, catalogue, given, source in rows:
        if given is None:
            yield Assumption(f"{region}: {quantity}", float(catalogue), unit, source)
        else:
            instead = f"{SCENE}, instead of {catalogue:g}{f' {unit}' if unit else ''} ({source})"
            yield Assumption(f"{region}: {quantity}", float(given), unit, instead)


def _support(support: Support, outcome: Outcome) -> Iterator[Assumption]:
    if support.optional and support.name not in outcome.node_sets:
        return
    kind = "pushes and never pulls" if support.one_sided else "elastic"
    yield Assumption(f"{support.name}: support", f"{kind}; {_place(support.where)}", "", SCENE)
    yield Assumption(f"{support.name}: stiffness", support.stiffness_kPa_per_mm, "kPa/mm", SCENE)
    along = getattr(support, "tangential_kPa_per_mm", None)
    if along is not None:
        yield Assumption(f"{support.name}: stiffness along the surface", float(along), "kPa/mm", SCENE)


def _place(place: Place) -> str:
    given = {key: getattr(place, key) for key in type(place).model_fields if key in place.model_fields_set}
    return ", ".join(f"{_words(key)} {_text(value)}" for key, value in given.items() if value is not None)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        inner = " → ".join if value and isinstance(value[0], tuple) else ", ".join
        return f"({inner(_text(one) for one in value)})"
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _source(part: Part, key: str) -> str:
    return SCENE if key in part.model_fields_set else DEFAULT


def _words(key: str) -> str:
    for ending in _UNITS:
        key = key.removesuffix(ending)
    return key.replace("_", " ")
