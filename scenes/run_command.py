"""`preop run`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..imaging.errors import NOT_A_MEDICAL_DEVICE


def run_command(arguments: argparse.Namespace) -> int:
    """Run the scene; 0 when done, 1 when done but the segmentation is not to be trusted."""
    from .folder_kind import require_no_result
    from .json_output import nothing_on_stdout, print_json
    from .leftovers import temporary_files_together
    from .pipeline import run_scene
    from .progress_bar import progress_bar
    from .provenance import command_line
    from .scene_file import load_scene

    scene = load_scene(arguments.scene, arguments.overrides)
    require_no_result(arguments.dicom)
    out = arguments.out or Path("results") / f"{scene.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    as_json = arguments.json
    with nothing_on_stdout(as_json), temporary_files_together(), progress_bar("", quiet=as_json) as progress:
        session = run_scene(
            scene,
            out,
            scan=arguments.dicom,
            device=arguments.device,
            overwrite=arguments.overwrite,
            pictures=not arguments.no_pictures,
            command=command_line(arguments.given),
            progress=progress,
        )
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    if as_json:
        print_json({"out": str(out), **result})
    else:
        _print_summary(result, out)
    assert session.segmentation is not None
    return 0 if session.segmentation.trusted else 1


def doubts(result: Mapping[str, Any]) -> list[str]:
    """What the check of the segmentation says of what the model is made of, where it is not all well.

    Args:
        result: what result.json holds.
    """
    from .report_patient import used_segments

    used, told = used_segments(result), " ".join(result["warnings"])
    notes = [note for note in result["segmentation"]["notes"] if note["segment"] in (*used, "scan")]
    return [note["text"] for note in notes if note["level"] != "ok" and note["text"] not in told]


def _print_summary(result: dict, out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from .report_words import number_text

    console = Console()
    table = Table(title=result["scene"]["title"], title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right", style="bold")
    table.add_column()
    for number in result["numbers"]:
        table.add_row(number["name"], number_text(number["value"], number["unit"]), number["unit"])
    console.print(table)
    console.print()
    console.print(result["segmentation"]["text"], markup=False, highlight=False)
    for note in [*doubts(result), *result["warnings"], *result["notes"]]:
        console.print(f"Note: {note}", markup=False, highlight=False)
    console.print()
    console.print(f"Result: {out}", markup=False, highlight=False, soft_wrap=True)
    if (out / "report.html").is_file():
        console.print(f"Report: {out / 'report.html'}", markup=False, highlight=False, soft_wrap=True)
    console.print()
    console.print(NOT_A_MEDICAL_DEVICE, markup=False)
