"""Dice and 95 % Hausdorff distance of the built-in segmenter on phantoms and on scans with a truth.

python benchmarks/segmentation_accuracy.py                      # phantoms of 128³ voxels
python benchmarks/segmentation_accuracy.py --size 256 --scan SCAN --truth LABELS --write TABLE.md

Prints, and with `--write` also writes, a table with the machine. The time is the CPU's, since others may work beside.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from preop.imaging.compare import compare_labels
from preop.imaging.labelfile import read_labels, read_masks
from preop.imaging.masks import MaskSet
from preop.imaging.phantom import PhantomParameters, make_phantom
from preop.imaging.scan import read_scan
from preop.imaging.segmentation.base import SegmentationRequest
from preop.imaging.segmentation.classical import ClassicalSegmenter
from preop.imaging.volume import ImageVolume, LabelMap

ORGANS = ("liver", "spleen", "kidney_left", "kidney_right", "bone")
PHANTOMS: tuple[tuple[int, str, float], ...] = (
    (1, "portal", 0.0),
    (3, "arterial", 1.0),
    (4, "native", 1.0),
    (2, "portal", 1.0),
    (5, "portal", 1.0),
)
HEADER = ("case", "CPU s", *ORGANS)


def phantom_row(size: int, seed: int, phase: str, variation: float) -> tuple[str, ...]:
    """Segment one phantom; its line of the table."""
    phantom = make_phantom(PhantomParameters(shape=(size, size, size), seed=seed, phase=phase, variation=variation))
    return _row(f"phantom {size}³ {phase}, seed {seed}", phantom.volume, phantom.labels)


def scan_row(scan: Path, truth: Path) -> tuple[str, ...]:
    """Segment a scan whose truth is one label file, or a folder with a mask per segment."""
    return _row(scan.stem, read_scan(scan), read_masks(truth) if truth.is_dir() else read_labels(truth))


def _row(name: str, volume: ImageVolume, truth: LabelMap | MaskSet) -> tuple[str, ...]:
    start = time.process_time()
    result = ClassicalSegmenter().segment(volume, SegmentationRequest(wanted=ORGANS))
    seconds = time.process_time() - start
    found = {agreement.name: agreement for agreement in compare_labels(result.labels, truth, ORGANS)}
    cells = [f"{found[n].dice:.3f} / {found[n].hausdorff_95_mm:.1f} mm" if n in found else "–" for n in ORGANS]
    return (name, f"{seconds:.0f}", *cells)


def machine() -> str:
    """Processor and versions in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in info.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}"


def table(rows: list[tuple[str, ...]]) -> str:
    """Markdown, one line per case."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (HEADER, ("---",) * len(HEADER), *rows)]
    return "\n".join(lines)


def main() -> None:
    """Print the table with the machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path, action="append", default=[])
    parser.add_argument("--truth", type=Path, action="append", default=[])
    parser.add_argument("--size", type=int, action="append", help="phantom voxels per side; 128 unless given")
    parser.add_argument("--phantoms", type=int, default=len(PHANTOMS), help="only so many of the phantoms")
    parser.add_argument("--workers", type=int, default=1, help="cases at a time")
    parser.add_argument("--write", type=Path, help="Markdown file for the table")
    arguments = parser.parse_args()
    jobs: list[Callable[[], tuple[str, ...]]] = [
        partial(scan_row, scan, truth) for scan, truth in zip(arguments.scan, arguments.truth, strict=True)
    ]
    jobs += [
        partial(phantom_row, size, *phantom)
        for size in arguments.size or [128]
        for phantom in PHANTOMS[: arguments.phantoms]
    ]
    rows = {}
    with ProcessPoolExecutor(arguments.workers) as pool:
        waiting = {pool.submit(job): number for number, job in enumerate(jobs)}
        for done in as_completed(waiting):
            rows[waiting[done]] = done.result()
            print("  ".join(rows[waiting[done]]), flush=True)
    text = f"Dice / 95 % Hausdorff distance. {machine()}\n\n{table([rows[i] for i in sorted(rows)])}\n"
    print(f"\n{text}")
    if arguments.write:
        arguments.write.write_text(f"# Accuracy of the built-in segmenter\n\n{text}")


if __name__ == "__main__":
    main()
