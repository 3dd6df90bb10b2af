"""`report.html`: one self-contained page, made from the result folder alone.

Every number on it comes from `result.json` and stands in a `<data>` element with its full
value; pictures are embedded; nothing is loaded from elsewhere.
"""

from __future__ import annotations

import base64
import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..imaging.errors import NOT_A_MEDICAL_DEVICE
from .report_patient import check_text, phase_of, segmentation_pill, used_segments, who
from .report_words import STEP_COLUMNS, british, capitalised, figure, flat, number_html, row, unit_of, words_of
from .result_folder import ResultFolder

__all__ = ["figure", "render_report", "write_report"]

_PICTURE_WIDTH = 1600
_FIRST = ("before_after", "displacement", "slices")
"""Keys of the pictures that come first."""
_WIDE = ("slices",)
"""Keys of the pictures that need the whole width to be read."""


@dataclass(frozen=True)
class Embedded:
    """A picture as a data URI with its words."""

    uri: str
    caption: str
    alt: str
    wide: bool = False


def write_report(folder: str | Path) -> Path:
    """Write `report.html` into a result folder; returns the file.

    Raises:
        SceneError: the folder is not a result.
    """
    result = ResultFolder.open(folder)
    html = render_report(result)
    target = result.path / "report.html"
    handle, name = tempfile.mkstemp(dir=result.path, prefix=".report", suffix=".html")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(html)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def render_report(result: ResultFolder) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number_html, words=words_of, british=british, unit=unit_of, capitalised=capitalised, check=check_text
    )
    data = result.data
    return environment.get_template("report.html").render(
        title=result.title,
        description=data["scene"].get("description", ""),
        who=who(data),
        patient=data.get("patient", {}),
        phase=phase_of(data),
        pill=segmentation_pill(data, result.carried),
        used=used_segments(data, result.carried) if data.get("segmentation") else set(),
        disclaimer=data.get("disclaimer") or NOT_A_MEDICAL_DEVICE,
        version=data.get("preop", ""),
        assumptions=data.get("assumptions", []),
        numbers=data["numbers"],
        notes=data.get("notes", []),
        warnings=data.get("warnings", []),
        segmentation=data.get("segmentation"),
        surfaces=data.get("surfaces", []),
        meshes=[_mesh(mesh) for mesh in data.get("meshes", [])],
        solver=_solver(data.get("solver", {})),
        agreement=_agreement(data.get("agreement", []), data.get("agreement_remarks", [])),
        provenance=_provenance(data.get("provenance", {})),
        pictures=embedded_pictures(result),
        animation=embedded_animation(result),
    )


def embedded_pictures(result: ResultFolder) -> list[Embedded]:
    """The stills, made smaller, the ones that tell most first."""
    listed = list(result.pictures)
    rank = {key: number for number, key in enumerate(_FIRST)}
    listed.sort(key=lambda picture: rank.get(picture.key, len(rank)))
    return [
        Embedded(
            _picture_uri(result.path / picture.path),
            british(picture.caption),
            british(picture.caption).split(". ")[0],
            wide=picture.key in _WIDE,
        )
        for picture in listed
    ]


def embedded_animation(result: ResultFolder) -> Embedded | None:
    """The animation, if it is one that an image element plays."""
    file = result.animation
    if file is None or file.suffix == ".mp4":
        return None
    uri = f"data:image/{file.suffix[1:]};base64,{base64.b64encode(file.read_bytes()).decode()}"
    caption = "The motion over the load steps, there and back."
    return Embedded(uri, caption, caption)


def _picture_uri(path: Path) -> str:
    """A still as WebP (JPEG where Pillow lacks it): a tenth of the PNG, which stays in the folder."""
    from PIL import Image, features

    with Image.open(path) as opened:
        image = opened.convert("RGB")
    if image.width > _PICTURE_WIDTH:
        image = image.resize(
            (_PICTURE_WIDTH, round(image.height * _PICTURE_WIDTH / image.width)), Image.Resampling.LANCZOS
        )
    kind = "webp" if features.check("webp") else "jpeg"
    memory = io.BytesIO()
    image.save(memory, format=kind, quality=88)
    return f"data:image/{kind};base64,{base64.b64encode(memory.getvalue()).decode()}"


def _mesh(mesh: Mapping[str, Any]) -> dict[str, Any]:
    """Rows and histograms of one mesh; histograms are dicts of counts and edges, wherever they stand."""
    from .plots import histogram_svg

    rows, histograms = [], []
    for key, value in flat(mesh.get("quality", {})):
        if isinstance(value, Mapping):
            title = _HISTOGRAM_TITLES.get(key.rsplit("/", 1)[-1], key.rsplit("/", 1)[-1].replace("_", " "))
            histograms.append(histogram_svg(value["counts"], value["edges"], title))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            rows.append(row(key.rsplit("/", 1)[-1], value))
    known = {one["name"] for one in rows}
    head = [row(key, mesh[key]) for key in ("nodes", "tetrahedra") if key in mesh and key not in known]
    return {
        "name": mesh.get("name", "mesh"),
        "rows": head + rows,
        "histograms": histograms,
        "regions": mesh.get("regions", []),
        "nodes": mesh.get("nodes"),
        "tetrahedra": mesh.get("tetrahedra"),
    }


_HISTOGRAM_TITLES = {
    "radius_ratio": "Radius ratio (1 is a regular tetrahedron)",
    "minimum_dihedral": "Smallest dihedral angle [°]",
    "minimum_dihedral_deg": "Smallest dihedral angle [°]",
    "maximum_dihedral": "Largest dihedral angle [°]",
    "maximum_dihedral_deg": "Largest dihedral angle [°]",
}


def _solver(solver: Mapping[str, Any]) -> dict[str, Any]:
    """Code, advice, scalar statistics, and the load steps as a table."""
    steps = [dict(step) for step in solver.get("steps", [])]
    for step in steps:
        # The last residual is the one that decided; the history stays in result.json.
        for key, value in list(step.items()):
            if isinstance(value, Sequence) and not isinstance(value, str):
                step[key] = value[-1] if value else None
    columns = {
        key: STEP_COLUMNS.get(key, words_of(key)) for key in dict.fromkeys(key for step in steps for key in step)
    }
    rows = [
        row(key, value)
        for key, value in flat({k: v for k, v in solver.items() if k != "steps"})
        if not isinstance(value, list | tuple | Mapping) and key not in ("code", "advice") and value not in ("", None)
    ]
    return {
        "code": solver.get("code", ""),
        "advice": solver.get("advice", ""),
        "rows": rows,
        "steps": steps,
        "columns": columns,
        # No iteration: the first state was known, so it is the scanned one that the load-free shape was solved for.
        "from_scan": bool(steps) and steps[0].get("newton_iterations") == 0,
    }


_AGREEMENT = (
    ("dice", "Dice", "Dice"),
    ("hausdorff_95_mm", "95 % Hausdorff distance", "mm"),
    ("mean_surface_distance_mm", "Mean surface distance", "mm"),
    ("volume_ml", "Volume", "mL"),
    ("truth_volume_ml", "True volume", "mL"),
    ("difference_percent", "Difference", "%"),
)


def _agreement(rows: Sequence[Mapping[str, Any]], remarks: Sequence[str]) -> dict[str, Any]:
    """What both sides hold as a table; what one side lacks, of which most numbers say nothing, in words."""
    common = [row for row in rows if row.get("volume_ml") != 0 and row.get("truth_volume_ml") != 0]
    columns = [column for column in _AGREEMENT if any(row.get(column[0]) is not None for row in common)]
    return {"columns": columns, "rows": common, "remarks": remarks}


def _provenance(provenance: Mapping[str, Any]) -> dict[str, Any]:
    told = ("command", "device", "seed", "mesh_seed", "started", "finished")
    rows = [
        {"name": key.capitalize().replace("_", " "), "value": provenance[key]}
        for key in told
        if provenance.get(key) not in (None, "")
    ]
    code = provenance.get("code") or {}
    if code.get("commit"):
        changed = ", with changes that are not committed" if code.get("changed") else ""
        rows.insert(0, {"name": "Commit", "value": f"{code['commit']}{changed}"})
    machine = provenance.get("machine") or {}
    if machine:
        words = ", ".join(f"{key} {value}" for key, value in machine.items())
        rows.append({"name": "Machine", "value": words})
    return {
        "rows": rows,
        "inputs": provenance.get("inputs", []),
        "versions": provenance.get("versions", {}),
        "stages": provenance.get("stages", []),
    }
