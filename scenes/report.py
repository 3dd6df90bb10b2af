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
from .render_style import title_of
from .result_folder import ResultFolder

_PICTURE_WIDTH = 1400
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
        figure=figure, number=number_html, words=title_of, seconds=_seconds, capitalised=_capitalised
    )
    data = result.data
    return environment.get_template("report.html").render(
        title=result.title,
        description=data["scene"].get("description", ""),
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
        agreement=_agreement(data.get("agreement", [])),
        provenance=_provenance(data.get("provenance", {})),
        pictures=embedded_pictures(result),
        animation=embedded_animation(result),
    )


def figure(value: Any, digits: int = 4) -> str:
    """A number as people read it: four significant digits, no exponent between 0.001 and a million."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    if not isinstance(value, float):
        return str(value)
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.{digits - 2}e}".split("e")
        return f"{mantissa}·10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    text = f"{value:.{digits}g}"
    return f"{float(text):,.0f}".replace(",", "\u202f") if abs(float(text)) >= 1000 else text.replace("-", "−")


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number_html(value: Any) -> Any:
    """A number in a `<data>` element that carries its full value; anything else as text."""
    from markupsafe import Markup, escape

    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return escape(figure(value))
    return Markup('<data value="{}">{}</data>').format(repr(value), figure(value))


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _seconds(value: float) -> str:
    return f"{value / 60:.1f} min" if value >= 120 else f"{value:.1f} s"


def embedded_pictures(result: ResultFolder) -> list[Embedded]:
    """The stills, made smaller, the ones that tell most first."""
    listed = list(result.pictures)
    rank = {key: number for number, key in enumerate(_FIRST)}
    listed.sort(key=lambda picture: rank.get(picture.key, len(rank)))
    return [
        Embedded(
            _picture_uri(result.path / picture.path),
            picture.caption,
            picture.caption.split(". ")[0],
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


_UNITS = {"_mm3": "mm³", "_mm": "mm", "_deg": "°", "_ml": "ml", "_mib": "MiB", "_seconds": "s"}
_WORDS = {
    "radius_ratio_min": "radius ratio, smallest",
    "radius_ratio_p01": "radius ratio, 1st percentile",
    "radius_ratio_mean": "radius ratio, mean",
    "dihedral_min_deg": "dihedral angle, smallest",
    "dihedral_p01_deg": "smallest dihedral angle, 1st percentile",
    "dihedral_min_mean_deg": "smallest dihedral angle, mean",
    "dihedral_max_deg": "dihedral angle, largest",
    "edge_min_mm": "edge, shortest",
    "edge_mean_mm": "edge, mean",
    "edge_max_mm": "edge, longest",
    "volume_min_mm3": "volume of the smallest tetrahedron",
    "volume_mm3": "volume in all",
    "poor": "poor tetrahedra",
}


def _row(key: str, value: Any) -> dict[str, Any]:
    """A key of result.json as a table row: its words, its value, its unit."""
    name, unit = _WORDS.get(key, ""), ""
    for ending, symbol in _UNITS.items():
        if key.endswith(ending):
            name, unit = name or key[: -len(ending)], symbol
            break
    return {"name": (name or key).replace("_", " "), "value": value, "unit": unit}


def _mesh(mesh: Mapping[str, Any]) -> dict[str, Any]:
    """Rows and histograms of one mesh; histograms are dicts of counts and edges, wherever they stand."""
    from .plots import histogram_svg

    rows, histograms = [], []
    for key, value in _flat(mesh.get("quality", {})):
        if isinstance(value, Mapping):
            title = _HISTOGRAM_TITLES.get(key.rsplit("/", 1)[-1], key.rsplit("/", 1)[-1].replace("_", " "))
            histograms.append(histogram_svg(value["counts"], value["edges"], title))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            rows.append(_row(key.rsplit("/", 1)[-1], value))
    known = {row["name"] for row in rows}
    head = [_row(key, mesh[key]) for key in ("nodes", "tetrahedra") if key in mesh and key not in known]
    return {
        "name": mesh.get("name", "mesh"),
        "rows": head + rows,
        "histograms": histograms,
        "regions": mesh.get("regions", []),
    }


_HISTOGRAM_TITLES = {
    "radius_ratio": "Radius ratio (1 is a regular tetrahedron)",
    "minimum_dihedral": "Smallest dihedral angle [°]",
    "minimum_dihedral_deg": "Smallest dihedral angle [°]",
    "maximum_dihedral": "Largest dihedral angle [°]",
    "maximum_dihedral_deg": "Largest dihedral angle [°]",
}


def _flat(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """(path, value) of every leaf; a dict of counts and edges is a leaf."""
    found: list[tuple[str, Any]] = []
    for key, value in data.items():
        if isinstance(value, Mapping) and not {"counts", "edges"} <= set(value):
            found += _flat(value, f"{prefix}{key}/")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _solver(solver: Mapping[str, Any]) -> dict[str, Any]:
    """Code, advice, scalar statistics, and the load steps as a table."""
    steps = [dict(step) for step in solver.get("steps", [])]
    for step in steps:
        # The last residual is the one that decided; the history stays in result.json.
        for key, value in list(step.items()):
            if isinstance(value, Sequence) and not isinstance(value, str):
                step[key] = value[-1] if value else None
    columns = list(dict.fromkeys(key for step in steps for key in step))
    rows = [
        _row(key.replace("/", " "), value)
        for key, value in _flat({k: v for k, v in solver.items() if k != "steps"})
        if not isinstance(value, list | tuple | Mapping) and key not in ("code", "advice") and value not in ("", None)
    ]
    return {
        "code": solver.get("code", ""),
        "advice": solver.get("advice", ""),
        "rows": rows,
        "steps": steps,
        "columns": columns,
    }


_AGREEMENT = (
    ("dice", "Dice", ""),
    ("hausdorff_95_mm", "95 % Hausdorff distance", "mm"),
    ("mean_surface_distance_mm", "Mean surface distance", "mm"),
    ("volume_ml", "Volume", "ml"),
    ("truth_volume_ml", "True volume", "ml"),
    ("difference_percent", "Difference", "%"),
)


def _agreement(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns = [column for column in _AGREEMENT if any(row.get(column[0]) is not None for row in rows)]
    return {"columns": columns, "rows": rows}


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
