"""Time and peak memory of every stage, on the phantom and on real scans, as a table with the machine.

    .venv/bin/python benchmarks/pipeline.py [--scan PATH …] [--scene liver-retraction] [--write]

Each run is a fresh `preop` process, so compilation and imports are in the figures.
Seconds are of this machine only: compare within one table.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine_line import machine_line

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path, action="append", default=[], help="a real scan; may be repeated")
    parser.add_argument("--scene", action="append", default=[], help="scene to run; may be repeated")
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results/")
    arguments = parser.parse_args()
    scenes = arguments.scene or ["liver-retraction", "aneurysm-wall"]
    place, rows = machine_line(), []
    with tempfile.TemporaryDirectory() as folder:
        for scene in scenes:
            for scan in [None, *arguments.scan]:
                rows += run(scene, scan, Path(folder) / f"{scene}-{scan.name if scan else 'phantom'}")
    text = table(place, rows)
    print(text)
    if arguments.write:
        (RESULTS / "pipeline.md").write_text(text + "\n", encoding="utf-8")


def run(scene: str, scan: Path | None, out: Path) -> list[tuple[str, str, str, float, float]]:
    """One run; rows of (scene, patient, stage, seconds, MiB)."""
    command = [sys.executable, "-m", "preop.scenes.cli", "run", scene, "--out", str(out), "--json"]
    command += ["--dicom", str(scan)] if scan else []
    patient = scan.name if scan else "phantom"
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 1):
        return [(scene, patient, f"failed: {done.stderr.strip().splitlines()[-1]}", seconds, float("nan"))]
    stages = json.loads(done.stdout)["provenance"]["stages"]
    rows = [(scene, patient, s["name"], s["seconds"], s["peak_memory_mib"]) for s in stages]
    peak = max(row[4] for row in rows)
    return [*rows, (scene, patient, "**whole command**", seconds, peak)]


def table(place: str, rows: list[tuple[str, str, str, float, float]]) -> str:
    """Markdown, with the machine above."""
    head = [f"{place} Python {platform.python_version()}.", ""]
    head += ["| scene | patient | stage | seconds | peak memory, MiB |", "|---|---|---|---:|---:|"]
    return "\n".join(head + [f"| {a} | {b} | {c} | {d:.1f} | {e:.0f} |" for a, b, c, d, e in rows])


if __name__ == "__main__":
    main()
