"""What every picture shares: named anatomical views, colours, field scales and sizes.

Colour maps are perceptually uniform and readable with a colour vision deficiency
(Crameri, Shephard & Heron 2020, doi:10.1038/s41467-020-19160-7, on why rainbow maps mislead).
numpy only; nothing here opens a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..imaging.anatomy import SEGMENTS
from .plain_words import name_words

STILL_SIZE = (1600, 1200)
SUPERSAMPLE = 2
"""Stills are rendered this much larger and averaged down: cheaper on a software renderer than multisampling."""
BACKGROUND = (246, 248, 250)
INK = (28, 36, 44)
QUIET_INK = (92, 104, 116)
TOOL_COLOUR = (0.00, 0.45, 0.70)
GHOST_COLOUR = (0.55, 0.60, 0.66)
OUTLINE_COLOUR = (0.20, 0.25, 0.31)
HELD_COLOURS = ((0.00, 0.62, 0.45), (0.80, 0.40, 0.70), (0.90, 0.56, 0.10), (0.34, 0.71, 0.91), (0.55, 0.45, 0.10))
"""Okabe & Ito's, without the tool's blue and the yellow of tumours, for held patches of different supports.
The one nearest to the tool's comes late."""

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class View:
    """Where the camera stands.

    Attributes:
        name: key used in code and file names.
        title: as shown on the picture.
        towards_camera: (3,) LPS direction from the patient to the camera.
        up: (3,) LPS direction that points up in the picture.
    """

    name: str
    title: str
    towards_camera: tuple[float, float, float]
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Unit vectors (right, up, towards the camera) of the picture, LPS."""
        back = np.asarray(self.towards_camera, dtype=float)
        back = back / np.linalg.norm(back)
        right = np.cross(np.asarray(self.up, dtype=float), back)
        right /= np.linalg.norm(right)
        return right, np.cross(back, right), back


# Seen from the front the patient's right is on the picture's left, as across an operating table.
VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        View("anterior", "anterior view", (0, -1, 0)),
        View("posterior", "posterior view", (0, 1, 0)),
        View("right", "right lateral view", (-1, 0, 0)),
        View("left", "left lateral view", (1, 0, 0)),
        View("superior", "superior view", (0, 0, 1), (0, -1, 0)),
        View("inferior", "inferior view", (0, 0, -1), (0, -1, 0)),
        # From the umbilicus up to the right upper quadrant, as a laparoscope looks.
        View("surgeon", "surgeon's view (oblique, from below)", (0.30, -0.80, -0.42)),
        View("oblique", "right anterior oblique view", (-0.55, -0.80, 0.22)),
        View("oblique_left", "left anterior oblique view", (0.55, -0.80, 0.22)),
        View("posterior_oblique_left", "left posterior oblique view", (0.55, 0.80, 0.22)),
        View("posterior_oblique_right", "right posterior oblique view", (-0.55, 0.80, 0.22)),
    )
}


@dataclass(frozen=True)
class FieldStyle:
    """How one result field is shown: title, unit and factor from the stored to the shown value.

    `short` stands above a colour bar, where the whole title has no room. `quantile` of the
    values is the bar's top: one element at a clamped edge must not wash out the rest, while
    a displacement, which has no such peaks, is shown up to its largest.
    """

    key: str
    title: str
    unit: str
    colour_map: str
    factor: float = 1.0
    short: str = ""
    quantile: float = 0.99


FIELDS: dict[str, FieldStyle] = {
    style.key: style
    for style in (
        FieldStyle("displacement_magnitude", "Displacement", "mm", "viridis", quantile=1.0),
        FieldStyle("strain", "Largest tensile strain (Green–Lagrange)", "%", "plasma", 100.0, "Tensile strain"),
        FieldStyle("von_mises_kPa", "von Mises stress", "kPa", "inferno"),
        FieldStyle("wall_stress_kPa", "Wall stress", "kPa", "inferno"),
        FieldStyle("max_principal_stress_kPa", "Largest principal stress", "kPa", "inferno", short="Principal stress"),
    )
}


def field_style(key: str) -> FieldStyle:
    """The style of a known field, or a plain one for a field of that name."""
    return FIELDS.get(key) or FieldStyle(key, name_words(key), "", "viridis")


@dataclass(frozen=True)
class ColourScale:
    """A field's range as shown.

    Attributes:
        style: title, unit and colour map.
        low, high: shown values (after `style.factor`) at the ends of the colour bar.
        beyond: True where some values lie above `high` and share its colour.
        limit: a shown value to mark on the bar, of which the report counts what lies above; None without one.
    """

    style: FieldStyle
    low: float
    high: float
    beyond: bool = False
    limit: float | None = None

    def label(self) -> str:
        """Title with unit."""
        return f"{self.style.title} [{self.style.unit}]" if self.style.unit else self.style.title

    def beyond_sentence(self) -> str:
        """What a caption says where some values lie beyond the bar, with a space in front; else nothing."""
        unit = f" {self.style.unit}" if self.style.unit else ""
        words = f" The arrow on the colour bar: some values lie above {self.high:g}{unit}." if self.beyond else ""
        if self.limit is not None:
            words += f" The red line on the bar: {self.limit:g}{unit}, above which the report counts volume."
        return words


def colour_scale(key: str, values: ArrayLike, limit: float | None = None, named: float | None = None) -> ColourScale:
    """A rounded range for stored values of a field.

    The top is the style's quantile, or a third above a limit that lies higher. Where values lie
    above it the picture's colour bar says so (`beyond`), and the maximum stands in the numbers.

    Args:
        limit: a stored value to mark.
        named: a stored value that the picture tells in words: it lies on the bar, whatever the quantile.
    """
    style = field_style(key)
    shown = np.asarray(values, dtype=float).ravel() * style.factor
    shown = shown[np.isfinite(shown)]
    if not shown.size:
        return ColourScale(style, 0.0, 1.0)
    shown_limit = None if limit is None else limit * style.factor
    top = float(np.quantile(shown, style.quantile))
    if shown_limit is not None:
        top = max(top, shown_limit * 4 / 3)
    if named is not None:
        top = max(top, named * style.factor)
    bottom = float(np.quantile(shown, 1 - style.quantile))
    high = nice_ceiling(top) if top > 0 else 0.0
    low = -nice_ceiling(-bottom) if bottom < -0.02 * max(high, -bottom) else 0.0
    if high <= low:
        high = low + 1.0
    return ColourScale(style, low, high, bool(shown.max() > high * (1 + 1e-9)), shown_limit)


def nice_ceiling(value: float) -> float:
    """The next number above a positive value that reads well on an axis."""
    magnitude = 10.0 ** np.floor(np.log10(value))
    for step in (1, 1.2, 1.5, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10):
        if step * magnitude >= value * (1 - 1e-12):
            return float(step * magnitude)
    return float(10 * magnitude)


def bar_length(extent_mm: float) -> float:
    """A scale bar of 1, 2 or 5 × 10ⁿ mm, at most a quarter of the extent."""
    limit = max(extent_mm, 1e-6) / 4
    magnitude = 10.0 ** np.floor(np.log10(limit))
    return float(max(step * magnitude for step in (1, 2, 5) if step * magnitude <= limit * (1 + 1e-9)))


def colour_map_of(name: str) -> Any:
    """A matplotlib colour map, without its dark start and paler there, so that a lit shape can be read everywhere."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    share = np.linspace(0, 1, 256)
    colours = matplotlib.colormaps[name](_STARTS.get(name, 0.0) + (1 - _STARTS.get(name, 0.0)) * share)
    paler = _PALER * (1 - share)[:, None]
    colours[:, :3] = (1 - paler) * colours[:, :3] + paler
    return ListedColormap(colours, name=name)


_STARTS = {"viridis": 0.14, "plasma": 0.16, "inferno": 0.28, "magma": 0.28}
"""Where a colour map begins: left of it no shading is seen."""
_PALER = 0.24
"""Share of white at its beginning; little enough that lightness still rises all along."""


# Surfaces drawn as a shell, so that what lies inside is seen.
_SHELLS = {"body": 0.03, "lungs": 0.10, "lung_left": 0.10, "lung_right": 0.10, "bone": 0.30, "ribs": 0.30}


def title_of(name: str) -> str:
    """A segment's name for people: `liver_tumor` → `Liver tumour`, `lung_left` → `Left lung`."""
    return name_words(name).capitalize()


def colour_of(name: str) -> Colour:
    """sRGB of a segment, or of the first part of a whole; a neutral blue-grey for anything else."""
    if name in SEGMENTS:
        return SEGMENTS[name].colour
    parts = [segment.colour for segment in SEGMENTS.values() if name in segment.part_of]
    return parts[0] if parts else (0.55, 0.62, 0.70)


def shell_opacity(name: str, present: tuple[str, ...]) -> float | None:
    """Opacity of a surface that is seen face on, None for a surface drawn solid.

    A whole becomes a shell where one of its parts is present too (a liver around its tumours).
    """
    if name in _SHELLS:
        return _SHELLS[name]
    inside = [other for other in present if other in SEGMENTS and name in SEGMENTS[other].part_of]
    if name == "liver" and "portal_vein" in present:
        inside.append("portal_vein")
    if name == "aorta" or not inside:
        return 0.45 if name == "aortic_thrombus" else None
    return 0.14
