"""Dice and 95 % Hausdorff distance of the built-in segmenter on phantoms and on scans with a truth.

python benchmarks/segmentation_accuracy.py                      # phantoms only
python benchmarks/segmentation_accuracy.py --scan SCAN --truth LABELS
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path

from preop.imaging.compare import compare_labels
from preop.imaging.labelfile import read_labels
from preop.imaging.phantom import PhantomParameters, make_phantom
from preop.imaging.scan import read_scan
from preop.imaging.segmentation.base import SegmentationRequest
from preop.imaging.segmentation.classical import ClassicalSegmenter
from preop.imaging.volume import ImageVolume, LabelMap

ORGANS = ("liver", "spleen", "kidney_left", "kidney_right")
PHANTOMS = ((1, "portal", 0.0), (2, "portal", 1.0), (5, "portal", 1.0), (3, "arterial", 1.0), (4, "native", 1.0))


def row(name: str, volume: ImageVolume, truth: LabelMap) -> None:
    """Segment one scan and print its line."""
    start = time.perf_counter()
    result = ClassicalSegmenter().segment(volume, SegmentationRequest(wanted=ORGANS))
    seconds = time.perf_counter() - start
    agreements = compare_labels(result.labels, truth, ORGANS)
    cells = [f"{found.name} {found.dice:.3f} / {found.hausdorff_95_mm:.1f} mm" for found in agreements]
    print(f"{name:28s} {seconds:6.1f} s  " + "  ".join(cells), flush=True)


def main() -> None:
    """Print the table with the machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path, action="append", default=[])
    parser.add_argument("--truth", type=Path, action="append", default=[])
    parser.add_argument("--size", type=int, default=128, help="phantom voxels per side")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}; Dice / HD95")
    for seed, phase, variation in PHANTOMS:
        shape = (arguments.size,) * 3
        phantom = make_phantom(PhantomParameters(shape=shape, seed=seed, phase=phase, variation=variation))
        row(f"phantom {phase} seed {seed}", phantom.volume, phantom.labels)
    for scan, truth in zip(arguments.scan, arguments.truth, strict=True):
        row(scan.name, read_scan(scan), read_labels(truth))


if __name__ == "__main__":
    main()
