"""What a person's point or box changes: Dice of an organ without and with a seed, on variants of one real scan.

python benchmarks/segmentation_seeds.py --scan SCAN --truth MASKS --organ liver --only 'liver' --write TABLE.md

Seeds are drawn from the truth as a person would give them: a tight box, one whose sides are each off by up to 6 mm, a
box 8 mm too wide, a point anywhere in the organ, and a point in a part that was not found. "fits" means that what was
found without the seed already agrees with it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import segmentation_robustness as sr
from numpy.typing import NDArray
from patient_variants import Patient
from scipy import ndimage

from preop.imaging.progress import silent
from preop.imaging.segmentation.base import Seed, SegmentationRequest
from preop.imaging.segmentation.canonical import canonical
from preop.imaging.segmentation.case import Case
from preop.imaging.segmentation.seeded import agrees
from preop.imaging.segmentation.stages import STAGES, Stage

Mask = NDArray[np.bool_]
OFF_MM, WIDE_MM = 6.0, 8.0
KINDS = ("tight box", "box off by 6 mm", "box 8 mm wide", "point", "point in what was missed")


def seeds(case: Case, truth: Mask, found: Mask, rng: np.random.Generator) -> dict[str, Seed]:
    """One seed of every kind that can be given."""
    inside = np.argwhere(truth)
    low, high = case.grid.points_from_index(np.array([inside.min(axis=0), inside.max(axis=0)]))
    off = rng.uniform(-OFF_MM, OFF_MM, (2, 3))
    given = {
        "tight box": Seed(box=(low, high)),
        "box off by 6 mm": Seed(box=(low + off[0], high + off[1])),
        "box 8 mm wide": Seed(box=(low - WIDE_MM, high + WIDE_MM)),
        "point": Seed(point=case.grid.points_from_index(inside[rng.integers(len(inside))])),
    }
    missed = np.argwhere(ndimage.binary_erosion(truth & ~found, iterations=2))
    if len(missed):
        given["point in what was missed"] = Seed(point=case.grid.points_from_index(missed[rng.integers(len(missed))]))
    return given


def dice(first: Mask, second: Mask) -> float:
    return 2.0 * float((first & second).sum()) / max(float(first.sum() + second.sum()), 1.0)


def judged(name: str, organ: str, patient: Patient, seed: int = 0) -> dict[str, object]:
    """One row: Dice without a seed, and with each kind."""
    turned = canonical(patient.volume)
    truth = turned.forward(patient.masks[organ].astype(np.uint16)) > 0
    case = Case.of(turned.volume, SegmentationRequest(wanted=(organ,)))
    own = before(case, organ)
    known = dict(case.masks)
    found = own.find()(case, silent).get(organ, np.zeros_like(truth))
    row: dict[str, object] = {"case": name, "without": round(dice(found, truth), 4)}
    for kind, given in seeds(case, truth, found, np.random.default_rng(seed)).items():
        case.request = replace(case.request, seeds={organ: given})
        if agrees(case, organ, found):
            row[kind] = "fits"
            continue
        case.masks = dict(known)
        row[kind] = round(dice(own.find()(case, silent).get(organ, np.zeros_like(truth)), truth), 4)
    return row


def before(case: Case, organ: str) -> Stage:
    """Run every step before the organ's; that step."""
    for stage in STAGES:
        if organ in stage.gives:
            return stage
        if stage.needed(case):
            case.masks.update(stage.find()(case, silent))
    raise SystemExit(f"no step finds {organ}")


def table(rows: list[dict[str, object]]) -> str:
    """Markdown, one line per case, and the worst change."""
    lines = ["| case | without | " + " | ".join(KINDS) + " |", "|" + " --- |" * (2 + len(KINDS))]
    columns = ("case", "without", *KINDS)
    lines += ["| " + " | ".join(str(row.get(column, "–")) for column in columns) + " |" for row in rows]
    changes = [float(str(row[k])) - float(str(row["without"])) for row in rows for k in KINDS if _measured(row, k)]
    if changes:
        lines += ["", f"{len(changes)} seeds corrected something: by {min(changes):+.4f} to {max(changes):+.4f}."]
    return "\n".join(lines)


def _measured(row: dict[str, object], kind: str) -> bool:
    return isinstance(row.get(kind), float)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--organ", default="liver")
    parser.add_argument("--only", action="append", default=[], help="cases whose name contains this; may be repeated")
    parser.add_argument("--write", type=Path, help="Markdown file for the table")
    arguments = parser.parse_args()
    base = sr.real(arguments.scan, arguments.truth)
    changes = {one.name: one.change for one in sr.variants()}
    names = [n for only in arguments.only or [""] for n in sr.names(only, "both", with_real=True) if n in changes]
    rows = []
    for name in dict.fromkeys(names):
        rows.append(judged(name, arguments.organ, changes[name](base)))
        print(json.dumps(rows[-1]), flush=True)
    text = f"{arguments.organ}\n\n{table(rows)}\n"
    print(f"\n{text}")
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
