"""What the options of a procedure must not say together, whichever procedure it is: told before any work."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ..imaging.errors import SceneError
from .schema import Part, Scene


def check_options(scene: Scene, options: Part) -> None:
    """Check the keys that several procedures share: supports, regions, target, lumen, thrombus, box.

    Raises:
        SceneError: two keys contradict each other.
    """
    given = {name: getattr(options, name) for name in type(options).model_fields}
    for check in (_supports, _target, _vessel, _box):
        problem = check(scene, options, given)
        if problem:
            # A problem begins with its key.
            raise SceneError(problem, where=scene.where(re.split(r"[^\w.]", problem)[0]))


def _supports(scene: Scene, options: Part, given: dict[str, Any]) -> str:
    counts = Counter(support.name for support in given.get("supports") or ())
    twice = [name for name, count in counts.items() if count > 1]
    return f"options.supports: two supports have the name {twice[0]}; give each its own" if twice else ""


def _target(scene: Scene, options: Part, given: dict[str, Any]) -> str:
    if "target" not in options.model_fields_set or "regions" not in given or given["target"] in given["regions"]:
        return ""
    return f"options.target: there is no region {given['target']}; there are {', '.join(given['regions'])}"


def _vessel(scene: Scene, options: Part, given: dict[str, Any]) -> str:
    if "lumen" not in given:
        return ""
    shared = sorted(set(given["lumen"]) & set(given.get("thrombus") or ()))
    if shared:
        return f"options.thrombus: {', '.join(shared)} cannot be both lumen and thrombus"
    # A vessel's lumen is what the blood pressure acts on.
    low, high = scene.patient.diastolic_mmHg, scene.patient.systolic_mmHg
    if low >= high:
        return f"patient.systolic_mmHg ({high:g}) must be above diastolic_mmHg ({low:g})"
    return ""


def _box(scene: Scene, options: Part, given: dict[str, Any]) -> str:
    box = given.get("box_mm")
    if box is None or all(low != high for low, high in zip(*box, strict=True)):
        return ""
    return "options.box_mm: the two corners of a box must differ along x, y and z"
