"""Which stack of slices is used, and by what name a person can ask for another.

Which stack is used, in this order:
 1. evenly spaced and complete before not;
 2. CT before MR before anything else;
 3. at least half as long as the longest such stack (no test bolus, no slab of a few slices);
 4. original before derived (no maximum intensity projections, no reformats where the source is there);
 5. axial before other orientations;
 6. slices at most 3 mm apart;
 7. the contrast phase that is wanted, if any is, as far as the series' header names one;
 8. a soft reconstruction kernel before a sharp one (lung, bone), whose noise drowns soft tissue;
 9. more slices, then thinner ones.
Stacks equal in all of these are ranked by series number and UID, and a note says so. A note also tells which phases
were left: neither slices nor millimetres make one phase do for another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .contrast_phase import NAMED, phase_hint, phase_rank
from .dicom_series import Stack


@dataclass(frozen=True)
class Choice:
    """Which stack is used and why (to follow "it is")."""

    stack: Stack | None
    why: str
    notes: tuple[str, ...] = ()


def choose(stacks: list[Stack], phases: Sequence[str] = ()) -> Choice:
    """The stack that the rule of this module picks, or none.

    Args:
        stacks: of one patient.
        phases: contrast phases (native, arterial, portal, delayed) by preference; none where any will do.
    """
    usable = [one for one in stacks if not one.why_not]
    if not usable:
        return Choice(None, "no series is a volume")
    longest = max(_extent(one) for one in usable if _modality(one) == min(map(_modality, usable)))
    rank = {id(one): _rank(one, longest, phases) for one in usable}
    ranked = sorted(usable, key=lambda one: (rank[id(one)], stacks.index(one)))
    best = ranked[0]
    equals = [one for one in ranked[1:] if rank[id(one)] == rank[id(best)]]
    notes = _other_phases(best, ranked[1:], phases)
    if equals:
        others = ", ".join(one.label() for one in equals[:4])
        equal = f"{best.label()} was used; {others} would do as well: name another with --set patient.series=KEY"
        notes = (equal, *notes)
    why = "the only volume" if len(usable) == 1 else _reason(rank[id(best)], rank[id(ranked[1])])
    return Choice(best, why, notes)


def _other_phases(best: Stack, others: Sequence[Stack], phases: Sequence[str]) -> tuple[str, ...]:
    """A note where series of other named phases were left."""
    own = _phase(best)
    left = [one for one in others if _phase(one) in NAMED and _phase(one) != own and one.first.modality == "CT"]
    if not left:
        return ()
    listed = ", ".join(f"series {one.key} ({_phase(one)})" for one in left[:4]) + (", …" if len(left) > 4 else "")
    wish = f", {phases[0]} being preferred" if phases else ""
    what = f"series {best.key} ({own or 'phase not stated'}) was used{wish}; of other phases there are {listed}"
    return (f"{what}: name another with --set patient.series=KEY",)


def _phase(stack: Stack) -> str:
    return phase_hint(stack.first.series_description, stack.first.contrast)


_RULES = (
    "the one that is evenly spaced and complete", "the one of the preferred modality", "the one that covers more",
    "the original, not derived", "the axial one", "the one with slices close enough", "the one of the phase wanted",
    "the one with a soft kernel", "the one with more slices", "the one with thinner slices",
)  # fmt: skip
"""Of `_rank`, in its order; each follows "it is"."""


def _rank(stack: Stack, longest: float, phases: Sequence[str]) -> tuple[float, ...]:
    first = stack.first
    assert stack.geometry
    return (
        not stack.even,
        _modality(stack),
        _extent(stack) < 0.5 * longest,
        "DERIVED" in first.image_type[:1],
        "axial" not in stack.orientation,
        stack.geometry.step_mm > 3.0 + 1e-3,
        phase_rank(_phase(stack), phases),
        is_sharp(first.kernel),
        -len(stack.slices),
        round(stack.slices[0].frame.thickness or stack.geometry.step_mm, 2),
    )


def _reason(best: tuple[float, ...], second: tuple[float, ...]) -> str:
    for rule, a, b in zip(_RULES, best, second, strict=True):
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
