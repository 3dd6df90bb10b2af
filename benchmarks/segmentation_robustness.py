"""The built-in segmenter on other patients: variants of one real scan with a truth, and phantoms.

python benchmarks/segmentation_robustness.py --scan SCAN --truth MASKS
python benchmarks/segmentation_robustness.py --scan SCAN --truth MASKS --only 'liver' --workers 2 --write TABLE.md
python benchmarks/segmentation_robustness.py --scan SCAN --truth MASKS --rows ROWS.jsonl --seconds 300   # in pieces

Prints every case: Dice per organ and what the segmenter's own note said (`!` warned, `x` called it bad, `c` only told
that the scan's edge cuts it, which is right and says nothing of what is there). A result below 0.8 whose note was no
more than that passed silently; one above the aim whose note was more is counted as warned without need. With `--rows`
every case is written down as it is done and none is done twice. Cases marked `held` were not looked at while the
segmenter was developed, but for the few that the results' file names. The scan is averaged to pixels of about 1.1 mm
first, which loses no organ and costs a third of the time.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import patient_variants as pv
from patient_variants import Change, Patient

from preop.imaging.errors import PreopError
from preop.imaging.labelfile import read_labels, read_masks
from preop.imaging.phantom import PhantomParameters, make_phantom
from preop.imaging.scan import read_scan
from preop.imaging.segmentation.base import Segmentation, SegmentationRequest
from preop.imaging.segmentation.classical import ClassicalSegmenter

ORGANS = ("liver", "spleen", "kidney_left", "kidney_right", "bone")
FLOOR = {"liver": 0.88, "spleen": 0.85, "kidney_left": 0.88, "kidney_right": 0.88, "bone": 0.80}
WRONG = 0.8
_QUIET = ("ok", "cut")
"""Levels of a note that doubts nothing of what the scan shows."""
TRUTHS = ("liver", "liver_tumor", "spleen", "kidney_left", "kidney_right", "bone", "portal_vein", "inferior_vena_cava")
PIXEL_MM = 1.2
Row = dict[str, object]


@dataclass(frozen=True)
class Variant:
    """One other patient: its name, whether it was held out of development, and what makes it."""

    name: str
    held_out: bool
    change: Change


def variants() -> list[Variant]:
    """Every variant of the real scan."""
    named: list[tuple[str, bool, Change]] = [("as scanned", False, lambda patient: patient)]
    named += _contrast() + _acquisition() + _anatomy() + _disease()
    named += [(f"mixed patient {seed}", seed % 2 == 1, mixed(seed)) for seed in range(20)]
    return [Variant(*one) for one in named]


def _contrast() -> list[tuple[str, bool, Change]]:
    kidneys = ("kidney_left", "kidney_right")

    def both(share: float) -> Change:
        return pv.all_of(*(pv.towards(name, "liver", share) for name in kidneys))

    return [
        *[(f"liver {hu:+d} HU", held, pv.shifted(("liver",), hu)) for hu, held in LIVER_SHIFTS],
        ("contrast halved", False, pv.weaker(0.5)),
        ("contrast at 0.3", True, pv.weaker(0.3)),
        ("contrast at 1.3", True, pv.weaker(1.3)),
        ("kidneys 0.6 to liver", False, both(0.6)),
        ("kidneys as liver", False, both(1.0)),
        ("kidneys 0.8 to liver", True, both(0.8)),
        ("kidneys corticomedullary", False, pv.corticomedullary),
        ("corticomedullary, liver -30", True, pv.all_of(pv.shifted(("liver",), -30), pv.corticomedullary)),
        ("spleen as liver", False, pv.towards("spleen", "liver", 1.0)),
        ("spleen +20 HU", True, pv.shifted(("spleen",), 20)),
        ("spleen -25 HU", False, pv.shifted(("spleen",), -25)),
        ("caval vein as liver", False, pv.towards("inferior_vena_cava", "liver", 1.0)),
    ]


LIVER_SHIFTS = ((-45, False), (-25, True), (-65, False), (-55, True), (20, True), (35, False), (45, True))


def _acquisition() -> list[tuple[str, bool, Change]]:
    return [
        ("noise 20 HU", False, pv.noisy(20, 1)),
        ("noise 35 HU", False, pv.noisy(35, 2)),
        ("noise 28 HU", True, pv.noisy(28, 3)),
        ("soft kernel", False, pv.smoothed(1.3)),
        ("slices 3.2 mm", False, lambda p: pv.thinned(p, (1, 1, 2))),
        ("slices 4.8 mm", False, lambda p: pv.thinned(p, (1, 1, 3))),
        ("3.2 mm, noise 15", True, pv.all_of(pv.noisy(15, 4), lambda p: pv.thinned(p, (1, 1, 2)))),
        ("pixels 2.3 mm", True, lambda p: pv.thinned(p, (2, 2, 1))),
        ("top quarter cut", False, pv.cropped((0, 0, 0), (1, 1, 0.75))),
        ("bottom quarter cut", False, pv.cropped((0, 0, 0.25), (1, 1, 1))),
        ("sides cut", False, pv.cropped((0.1, 0, 0), (0.9, 1, 1))),
        ("top third cut", True, pv.cropped((0, 0, 0), (1, 1, 0.67))),
        ("bottom third cut", True, pv.cropped((0, 0, 0.33), (1, 1, 1))),
        ("front and back cut", True, pv.cropped((0.04, 0.08, 0), (0.96, 0.9, 1))),
        ("stored K, I, J, reversed", False, pv.stored((2, 0, 1), (True, False, True))),
    ]


def _anatomy() -> list[tuple[str, bool, Change]]:
    turns = [(f"turned {d:+d}° about {'xyz'[a]}", held, pv.turned(a, d)) for a, d, held in TURNS]
    warps = [(f"warp {mm} mm, seed {s}", s % 2 == 1, pv.warped(mm, s)) for s, mm in WARPS]
    return [
        *turns,
        *warps,
        ("body ×0.85", False, pv.sized((0.85, 0.85, 0.85))),
        ("body ×1.15", False, pv.sized((1.15, 1.15, 1.15))),
        ("body wide and short", True, pv.sized((1.15, 1.0, 0.85))),
        ("body narrow and tall", True, pv.sized((0.88, 0.92, 1.15))),
    ]


TURNS = ((0, 10, False), (0, -10, True), (1, 10, True), (1, -10, False), (2, 10, False), (2, -10, True))
WARPS = ((0, 12), (1, 12), (2, 18), (3, 18), (4, 25), (5, 25))


def _disease() -> list[tuple[str, bool, Change]]:
    return [
        ("no tumours", False, pv.without_tumours),
        ("5 dark tumours inside", False, pv.with_tumours(5, 14, 50, 1, at_border=False)),
        ("5 dark tumours at border", False, pv.with_tumours(5, 18, 50, 2, at_border=True)),
        ("4 dark tumours at border", True, pv.with_tumours(4, 22, 45, 3, at_border=True)),
        ("4 bright tumours", False, pv.with_tumours(4, 16, 165, 4, at_border=True)),
        ("12 small tumours", True, pv.with_tumours(12, 9, 60, 5, at_border=False)),
        ("1 huge dark tumour", False, pv.with_tumours(1, 50, 60, 6, at_border=False)),
        ("1 huge dark tumour at border", True, pv.with_tumours(1, 45, 55, 7, at_border=True)),
        ("spleen removed", False, pv.removed("spleen")),
        ("left kidney removed", True, pv.removed("kidney_left")),
        ("right kidney removed", False, pv.removed("kidney_right")),
    ]


def mixed(seed: int) -> Change:
    """A patient who differs in everything at once, by amounts drawn from a seed."""
    rng = np.random.default_rng(1000 + seed)
    changes = [
        pv.shifted(("liver",), rng.uniform(-45, 30)),
        pv.shifted(("spleen",), rng.uniform(-15, 15)),
        pv.shifted(("kidney_left", "kidney_right"), rng.uniform(-25, 40)),
        pv.weaker(rng.uniform(0.6, 1.15)),
    ]
    if rng.random() < 0.5:
        radius, hu, where = rng.uniform(8, 30), rng.uniform(40, 80), int(rng.integers(100))
        changes.append(pv.with_tumours(int(rng.integers(1, 6)), radius, hu, where, at_border=rng.random() < 0.5))
    changes += [pv.turned(int(rng.integers(3)), rng.uniform(-8, 8)), pv.warped(rng.uniform(5, 18), seed)]
    changes.append(pv.sized((rng.uniform(0.88, 1.12), rng.uniform(0.88, 1.12), rng.uniform(0.88, 1.12))))
    changes.append(pv.noisy(rng.uniform(0, 18), seed))
    bins = int(rng.integers(1, 3))
    changes.append(lambda patient: pv.thinned(patient, (1, 1, bins)))
    return pv.all_of(*changes)


PHANTOMS: tuple[tuple[int, str, bool], ...] = (
    (3, "arterial", False),
    (7, "arterial", True),
    (4, "native", False),
    (9, "native", True),
    (2, "portal", False),
    (5, "portal", True),
)


def phantom(seed: int, phase: str, size: int = 128) -> Patient:
    """A synthetic patient with its exact labels."""
    made = make_phantom(PhantomParameters(shape=(size, size, size), seed=seed, phase=phase, variation=1.0))
    masks = {name: made.labels.mask(name) for name in TRUTHS}
    return Patient(made.volume.voxels, made.volume.grid, masks)


def real(scan: Path, truth: Path) -> Patient:
    """A scan with its truth, averaged to pixels of about 1.1 mm."""
    volume = read_scan(scan)
    read = read_masks(truth) if truth.is_dir() else read_labels(truth)
    masks = {name: read.mask(name) for name in TRUTHS if name in read.names}
    bins = np.maximum((PIXEL_MM / volume.spacing[:2]).astype(int), 1)
    return pv.thinned(Patient(volume.voxels, volume.grid, masks), (int(bins[0]), int(bins[1]), 1))


def judged(name: str, held_out: bool, patient: Patient, request: SegmentationRequest | None = None) -> Row:
    """Segment a patient: one row of the table."""
    start = time.process_time()
    row: Row = {"case": name, "held": held_out}
    try:
        result = ClassicalSegmenter().segment(patient.volume, request or SegmentationRequest(wanted=ORGANS))
    except PreopError as error:
        return row | {"error": str(error)}
    row["seconds"] = round(time.process_time() - start, 1)
    for organ in ORGANS:
        row[organ] = _agreement(result, patient, organ)
    return row


def _agreement(result: Segmentation, patient: Patient, organ: str) -> list[object]:
    """[Dice or None where the organ is not there, level of the note or "cut"]; one claimed where none is has 0."""
    found, truth = result.labels.mask(organ), patient.masks[organ]
    note = result.note(organ)
    level = "bad" if note is None else "cut" if note.only_cut else note.level
    if truth.sum() * patient.grid.voxel_volume < 5e3:
        return [None if not found.any() else 0.0, level]
    return [round(float(2 * (found & truth).sum() / (found.sum() + truth.sum())), 4), level]


def cell(value: object) -> str:
    """Dice and what the note said."""
    if not isinstance(value, Sequence):
        return "–"
    dice, level = value
    mark = {"ok": "", "cut": " c", "warn": " !", "bad": " x"}[str(level)]
    return ("none" if dice is None else f"{dice:.3f}") + mark


def table(rows: Iterable[Row]) -> str:
    """Markdown, one line per case."""
    lines = ["| case | half | " + " | ".join(ORGANS) + " |", "| --- |" + " --- |" * (1 + len(ORGANS))]
    for row in rows:
        cells = [str(row["error"])] if "error" in row else [cell(row.get(organ)) for organ in ORGANS]
        lines.append(f"| {row['case']} | {'held' if row['held'] else 'seen'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def summary(rows: Sequence[Row]) -> str:
    """Per half: median and worst Dice, how many fall short of the aim, wrong ones that passed silently, false alarms.

    An organ that is not there and was not found is no case.
    """
    head = "| half | organ | cases | median | worst | below aim | below 0.8 | of these silent | good but warned |"
    lines = [head, "|" + " --- |" * 9]
    for held in (False, True):
        for organ in ORGANS:
            pairs = [row[organ] for row in rows if row["held"] == held and organ in row]
            known = [(d, level) for d, level in pairs if d is not None]  # type: ignore[misc]
            if not known:
                continue
            dice = np.array([d for d, _ in known])
            wrong = [level for d, level in known if d < WRONG]
            good = [level for d, level in known if d >= FLOOR[organ]]
            lines.append(
                f"| {'held' if held else 'seen'} | {organ} | {len(dice)} | {np.median(dice):.3f} | {dice.min():.3f} "
                f"| {(dice < FLOOR[organ]).sum()} | {len(wrong)} | {sum(level in _QUIET for level in wrong)} "
                f"| {sum(level not in _QUIET for level in good)} of {len(good)} |"
            )
    return "\n".join(lines)


_BASE: dict[str, Patient] = {}


def run(name: str) -> Row:
    """One case by name (the base patient is in `_BASE`)."""
    if name.startswith("phantom"):
        seed, phase, held = next(one for one in PHANTOMS if name == _phantom_name(*one))
        return judged(name, held, phantom(seed, phase))
    variant = next(one for one in variants() if one.name == name)
    return judged(name, variant.held_out, variant.change(_BASE["real"]))


def _phantom_name(seed: int, phase: str, held: bool) -> str:
    return f"phantom {phase}, seed {seed}"


def names(pattern: str, half: str, *, with_real: bool) -> list[str]:
    """Cases whose name matches, of one half or both."""
    both = [(_phantom_name(*one), one[2]) for one in PHANTOMS]
    if with_real:
        both = [(one.name, one.held_out) for one in variants()] + both
    chosen = {"both": (True, False), "seen": (False,), "held": (True,)}[half]
    return [name for name, held in both if held in chosen and fnmatch.fnmatch(name, f"*{pattern}*")]


def computed(chosen: Sequence[str], workers: int, file: Path | None, seconds: float) -> dict[str, Row]:
    """The rows of these cases, read where a file has them, else run; none is begun after so many seconds."""
    rows: dict[str, Row] = {}
    if file is not None and file.exists():
        read = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        rows = {str(row["case"]): row for row in read}
    left = [name for name in chosen if name not in rows]
    start, waiting = time.monotonic(), set[Future[Row]]()
    with ProcessPoolExecutor(workers) as pool:
        while waiting or (left and time.monotonic() - start < seconds):
            while left and len(waiting) < workers and time.monotonic() - start < seconds:
                waiting.add(pool.submit(run, left.pop(0)))
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for row in (one.result() for one in done):
                rows[str(row["case"])] = row
                print(json.dumps(row), flush=True)
                if file is not None:
                    with file.open("a", encoding="utf-8") as out:
                        out.write(json.dumps(row) + "\n")
    return rows


def main() -> None:
    """Run the cases and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path, help="portal-phase scan with a truth")
    parser.add_argument("--truth", type=Path, help="its masks: a folder or a label map")
    parser.add_argument("--only", default="", help="cases whose name contains this (may hold * and ?)")
    parser.add_argument("--half", choices=("seen", "held", "both"), default="both")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", type=Path, help="Markdown file for the tables")
    parser.add_argument("--rows", type=Path, help="file of the rows, a JSON object a line: read first, added to")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no case after so long")
    arguments = parser.parse_args()
    if arguments.scan:
        _BASE["real"] = real(arguments.scan, arguments.truth)
    chosen = names(arguments.only, arguments.half, with_real=bool(arguments.scan))
    rows = computed(chosen, arguments.workers, arguments.rows, arguments.seconds)
    if any(name not in rows for name in chosen):
        print(f"{len(rows)} of {len(chosen)} cases are done; give the same --rows again for the others")
        sys.exit(3)
    ordered = [rows[name] for name in chosen]
    text = f"{summary(ordered)}\n\n{table(ordered)}\n"
    print(f"\n{text}")
    if arguments.write:
        arguments.write.write_text(f"# The built-in segmenter on other patients\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
