"""What a run assumed, gathered from the scene's options and the catalogue of tissues: the same for every procedure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from .plain_words import direction_words, listed, name_words, path_words, position_words
from .procedures import procedure
from .procedures.base import Assumption, Outcome
from .schema import Part, Place, Scene, Support, TissueChoice

SCENE, DEFAULT = "the scene", "a default of preop"
_KPA = 1e-3
_NAMES = {
    "where": "where the jaws hold",
    "path_mm": "way of the jaws",
    "grip_kPa_per_mm": "stiffness of the jaws' lining",
    "strain_limit": "strain above which volume is counted",
    "clot": "thrombus",
    "layers": "layers of elements through the wall",
    "edge_length_mm": "edge length of the wall's elements",
    "outer_support_kPa_per_mm": "stiffness of the tissue around the vessel",
    "exclude_from_ends_mm": "distance from the held ends within which nothing is counted",
    "scan_pressure_mmHg": "pressure during the scan",
    "box_mm": "stretch that is computed",
    "renal_mm": "origin of the lower renal artery",
}
"""Options whose keys do not say in a surgeon's words what they are."""
_REGION_OF = {"wall": "aortic_wall", "clot": "aortic_thrombus"}
"""The mesh's regions for options that name one tissue each."""
_UNITS = {"_kPa_per_mm": "kPa/mm", "_kPa": "kPa", "_mmHg": "mmHg", "_mm": "mm", "_deg": "°"}
_OF_THE_MESH = ("tetrahedra", "lumen", "thrombus", "target")
"""Options that choose what is computed and on what, not what was assumed."""


def assumptions(scene: Scene, outcome: Outcome) -> tuple[Assumption, ...]:
    """Materials, supports, loads and paths as they went into a computation, in words, each with its source and key."""
    options = procedure(scene.procedure).parse(scene)
    found = list(_of_part(options, "", "options", outcome))
    if "lumen" in type(options).model_fields:
        found += _pressures(scene)
        if getattr(options, "scan_pressure_mmHg", 0.0) is None:
            found.append(_scan_pressure(scene))
    return tuple(found)


def _pressures(scene: Scene) -> list[Assumption]:
    patient = scene.patient
    return [
        Assumption(name, getattr(patient, key), "mmHg", _source(patient, key), f"patient.{key}")
        for key, name in (("systolic_mmHg", "systolic pressure"), ("diastolic_mmHg", "diastolic pressure"))
    ]


def _scan_pressure(scene: Scene) -> Assumption:
    """What a vessel's scan is taken to show where the scene does not say."""
    low, high = scene.patient.diastolic_mmHg, scene.patient.systolic_mmHg
    return Assumption(
        "pressure during the scan", low + (high - low) / 3, "mmHg", "mean arterial, (2 diastolic + systolic) / 3",
        "options.scan_pressure_mmHg",
    )  # fmt: skip


def _of_part(part: Part, prefix: str, path: str, outcome: Outcome) -> Iterator[Assumption]:
    for key in type(part).model_fields:
        value = getattr(part, key)
        if value is None or (not prefix and key in _OF_THE_MESH):
            continue
        yield from _of_value(part, key, value, f"{prefix}{_words(key)}", f"{path}.{key}", outcome)


def _of_value(part: Part, key: str, value: Any, name: str, path: str, outcome: Outcome) -> Iterator[Assumption]:
    if isinstance(value, TissueChoice):
        if _REGION_OF.get(key, key) in outcome.mesh.region_names.values() or key not in _REGION_OF:
            yield from _material(name, value, path)
    elif isinstance(value, Mapping):
        present = {region: choice for region, choice in value.items() if region in outcome.mesh.region_names.values()}
        for region, choice in present.items():
            yield from _material(name_words(region), choice, f"{path}.{region}")
    elif isinstance(value, Place):
        yield Assumption(name, place_words(value), "", _source(part, key), path)
    elif isinstance(value, Part):
        yield from _of_part(value, f"{name}: ", path, outcome)
    elif isinstance(value, tuple) and value and isinstance(value[0], Support):
        for number, support in enumerate(value):
            yield from _support(support, f"{path}.{number}", outcome)
    else:
        yield replace(_plain(key, value, name), source=_source(part, key), key=path)


def _plain(key: str, value: Any, name: str) -> Assumption:
    if key == "gravity":
        size = math.hypot(*value)
        return Assumption(f"{name}, {direction_words(value)}" if size else name, size, "m/s²")
    if key == "strain_limit":
        return Assumption(name, 100.0 * value, "%")
    if key == "path_mm":
        return Assumption(name, path_words(value))
    if key == "renal_mm":
        return Assumption(name, position_words(value))
    if key == "box_mm":
        return Assumption(name, f"from {position_words(value[0])} to {position_words(value[1])}")
    if isinstance(value, bool):
        return Assumption(name, "yes" if value else "no")
    unit = next((unit for ending, unit in _UNITS.items() if key.endswith(ending)), "")
    if isinstance(value, int | float):
        return Assumption(name, float(value), unit)
    return Assumption(name, _text(value), unit)


def _material(region: str, choice: TissueChoice, path: str) -> Iterator[Assumption]:
    """Law, E, ν and density of a region; the catalogue's citation, or the scene where it overrides the catalogue."""
    from ..engine.tissue.tissues import TISSUES

    tissue = TISSUES[choice.tissue]
    stiffness = f"{tissue.stiffness_source}{f' ({tissue.note})' if tissue.note else ''}"
    rows = (
        ("Young's modulus", "kPa", tissue.young * _KPA, "young_kPa", stiffness),
        ("Poisson ratio", "", tissue.poisson, "poisson", "a choice of the model: nearly incompressible"),
        ("density", "kg/m³", tissue.density, "density", tissue.density_source),
    )
    yield Assumption(f"{region}: material", f"neo-Hookean, as {name_words(choice.tissue)}", "", SCENE, f"{path}.tissue")
    for quantity, unit, catalogue, key, source in rows:
        given = getattr(choice, key)
        if given is not None:
            source = f"{SCENE}, instead of {catalogue:g}{f' {unit}' if unit else ''} ({source})"
        value = float(catalogue if given is None else given)
        yield Assumption(f"{region}: {quantity}", value, unit, source, f"{path}.{key}")


def _support(support: Support, path: str, outcome: Outcome) -> Iterator[Assumption]:
    if support.optional and support.name not in outcome.node_sets:
        return
    kind = "pushes and never pulls" if support.one_sided else "elastic"
    held = f"{kind}; holds {place_words(support.where)}"
    yield Assumption(f"{support.name}: support", held, "", SCENE, f"{path}.where")
    for key, name in _STIFFNESS.items():
        value = getattr(support, key)
        if value is not None:
            yield Assumption(f"{support.name}: {name}", float(value), "kPa/mm", SCENE, f"{path}.{key}")


_STIFFNESS = {"stiffness_kPa_per_mm": "stiffness", "tangential_kPa_per_mm": "stiffness along the surface"}


def place_words(place: Place) -> str:
    """A part of a surface, by where it lies."""
    if place.point is not None:
        return f"the surface within {place.radius_mm:g} mm of the point {position_words(place.point)}"
    if place.towards is not None:
        return (
            f"the surface within {place.radius_mm:g} mm of what is outermost in one direction: "
            f"{direction_words(place.towards)}"
        )
    if place.facing is not None:
        outer = f", its outermost {100 * place.fraction:g} %" if place.fraction < 1 else ""
        return f"the surface that faces {direction_words(place.facing)} (within {place.within_deg:g}°){outer}"
    if place.near is not None:
        return f"the surface within {place.within_mm:g} mm of {listed([f'the {name_words(n)}' for n in place.near])}"
    return "the whole surface"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return listed([_text(one) for one in value])
    if isinstance(value, str):
        return name_words(value)
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _source(part: Part, key: str) -> str:
    return SCENE if key in part.model_fields_set else DEFAULT


def _words(key: str) -> str:
    if key in _NAMES:
        return _NAMES[key]
    for ending in _UNITS:
        key = key.removesuffix(ending)
    return name_words(key)
