"""Which stack of slices is used, and by what name a person can ask for another.

Which stack is used, in this order:
 1. evenly spaced and complete before not;
 2. CT before MR before anything else;
 3. at least half as long as the longest such stack (no test bolus, no slab of a few slices);
 4. original before derived (no maximum intensity projections, no reformats where the source is there);
 5. axial before other orientations;
 6. slices at most 3 mm apart;
 7. a soft reconstruction kernel before a sharp one (lung, bone), whose noise drowns soft tissue;
 8. more slices, then thinner ones.
Stacks equal in all of these are ranked by series number and UID, and a note says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .dicom_series import Stack


@dataclass(frozen=True)
class Choice:
    """Which stack is used and why (to follow "it is")."""

    stack: Stack | None
    why: str
    notes: tuple[str, ...] = ()


def choose(stacks: list[Stack]) -> Choice:
    """The stack that the rule of this module picks, or none."""
    usable = [one for one in stacks if not one.why_not]
    if not usable:
        return Choice(None, "no series is a volume")
    longest = max(_extent(one) for one in usable if _modality(one) == min(map(_modality, usable)))
    ranked = sorted(usable, key=lambda one: (_rank(one, longest), stacks.index(one)))
    best = ranked[0]
    equals = [one for one in ranked[1:] if _rank(one, longest) == _rank(best, longest)]
    notes = ()
    if equals:
        others = ", ".join(one.label() for one in equals[:4])
        notes = (f"{best.label()} was used; {others} would do as well: name another with --set patient.series=KEY",)
    why = "the only volume" if len(usable) == 1 else _reason(best, ranked[1], longest)
    return Choice(best, why, notes)


_RULES = (
    "the one that is evenly spaced and complete", "the one of the preferred modality", "the one that covers more",
    "the original, not derived", "the axial one", "the one with slices close enough", "the one with a soft kernel",
    "the one with more slices", "the one with thinner slices",
)  # fmt: skip
"""Of `_rank`, in its order; each follows "it is"."""


def _rank(stack: Stack, longest: float) -> tuple[float, ...]:
    first = stack.first
    assert stack.geometry
    return (
        not stack.even,
        _modality(stack),
        _extent(stack) < 0.5 * longest,
        "DERIVED" in first.image_type[:1],
        "axial" not in stack.orientation,
        stack.geometry.step_mm > 3.0 + 1e-3,
        is_sharp(first.kernel),
        -len(stack.slices),
        round(stack.slices[0].frame.thickness or stack.geometry.step_mm, 2),
    )


def _reason(best: Stack, second: Stack, longest: float) -> str:
    for rule, a, b in zip(_RULES, _rank(best, longest), _rank(second, longest), strict=True):
        if a != b:
            return rule
    return "the first of equals"


def _modality(stack: Stack) -> int:
    return {"CT": 0, "MR": 1, "PT": 2}.get(stack.first.modality, 3)


def _extent(stack: Stack) -> float:
    return stack.geometry.step_mm * (len(stack.slices) - 1) if stack.geometry else 0.0


def is_sharp(kernel: str) -> bool:
    """Whether a convolution kernel is an edge-enhancing one: lung or bone by name, or Siemens number 60 and above."""
    if re.search(r"LUNG|BONE|EDGE|SHARP", kernel.upper()):
        return True
    siemens = re.match(r"[A-Z][a-z]?(\d{2})[a-z]?\b", kernel)
    return bool(siemens) and int(siemens.group(1)) >= 60


def find(stacks: list[Stack], series: str) -> list[Stack]:
    """Stacks named by key, series UID (or its end, from 6 characters), number or description (in that order)."""
    wanted = series.strip()
    tests: tuple[Callable[[Stack], bool], ...] = (
        lambda one: one.key == wanted,
        lambda one: one.first.series_uid == wanted,
        lambda one: one.first.series_number == wanted,
        lambda one: one.first.series_description.lower() == wanted.lower(),
        lambda one: len(wanted) >= 6 and one.first.series_uid.endswith(wanted),
    )
    return next((hits for test in tests if (hits := [one for one in stacks if test(one)])), [])


def patient_numbers(stacks: Iterable[Stack]) -> dict[int, str]:
    """id() of each stack → "patient 1", "patient 2" … in the order of the stacks.

    Patients are told apart by their IDs, or by name where no object of that name has an ID; neither is handed out.
    """
    stacks = list(stacks)
    keys = _patient_keys(stacks)
    numbers = {key: f"patient {i + 1}" for i, key in enumerate(dict.fromkeys(keys.values()))}
    return {one: numbers[key] for one, key in keys.items()}


def mixed_patients(stacks: Iterable[Stack]) -> dict[str, list[Stack]]:
    """The scans of each patient by number if they are of several patients; empty if of one. Nobody is no patient.

    Plans, structure sets, screenshots and reports mix nobody: they are never taken for a scan.
    """
    stacks = list(stacks)
    keys, numbers = _patient_keys(stacks), patient_numbers(stacks)
    people: dict[str, list[Stack]] = {}
    for one in stacks:
        if keys[id(one)] and one.is_scan:
            people.setdefault(numbers[id(one)], []).append(one)
    return people if len(people) > 1 else {}


def _patient_keys(stacks: list[Stack]) -> dict[int, str]:
    named = {one.first.patient_name: one.first.patient_id for one in stacks if one.first.patient_id}
    keys = {}
    for one in stacks:
        name = one.first.patient_name
        keys[id(one)] = one.first.patient_id or (named.get(name, name) if name else "")
    return keys
