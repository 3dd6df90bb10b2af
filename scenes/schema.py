"""The scene file: one YAML for desktop, headset and batch.

A `Scene` is frozen and holds no arrays. Unknown keys are errors, so a misspelt option
never passes silently. Lengths are mm, directions LPS (x to the patient's Left, y to
Posterior, z to Superior); stiffnesses and pressures name their unit in the key.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ..imaging.anatomy import SEGMENTS, WHOLES
from .quantities import BED_SLIPS, LENGTH_SLIPS, MODULUS_SLIPS, PRESSURE_SLIPS, within
from .yaml_text import place_of

Vector = tuple[float, float, float]
Systolic = Annotated[float, within(30, 300, "mmHg", PRESSURE_SLIPS)]
"""From deep shock to what bursts an artery in the head."""
Diastolic = Annotated[float, within(20, 200, "mmHg", PRESSURE_SLIPS)]
Young = Annotated[float, within(0.01, 1e8, "kPa", MODULUS_SLIPS)]
"""The softest tissue measured has more than 0.1 kPa, and bone 2e7: beyond lies a wrong unit."""
Density = Annotated[float, within(50, 25_000, "kg/m³", {"g/cm³": 1000.0})]
"""From foam to platinum: beyond lies a wrong unit."""
MOST_POISSON = 0.49
"""The nearest to incompressible for which the elements are verified (docs/theory/tissue.md)."""
Bed = Annotated[float, within(1e-4, 100, "kPa/mm", BED_SLIPS)]
"""Traction per displacement. An organ of 5 kPa and 100 mm gives as 0.05 kPa/mm does: 100 holds it as a rock would."""
BedOrNone = Annotated[float, within(1e-4, 100, "kPa/mm", BED_SLIPS, zero=True)]
Radius = Annotated[float, within(0.5, 300, "mm", LENGTH_SLIPS)]
Near = Annotated[float, within(0.1, 100, "mm", LENGTH_SLIPS)]
Fraction = Annotated[float, Field(gt=0, le=1)]


def _known(name: str, kind: str, names: Iterable[str]) -> str:
    if name in (names := tuple(names)):
        return name
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean {close[0]}?)" if close else f" (known are {', '.join(names)})"
    raise ValueError(f"unknown {kind} {name}{hint}")


def _known_tissue(name: str) -> str:
    from ..engine.tissue.tissues import TISSUES

    return _known(name, "tissue", TISSUES)


def _known_segmenter(name: str) -> str:
    from ..imaging.segmentation.registry import segmenters

    return _known(name, "segmenter", segmenters())


def _whole_number(value: Any) -> Any:
    # `true` is equal to 1 in Python.
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _compressible(ratio: float) -> float:
    if not 0 <= ratio <= MOST_POISSON:
        raise ValueError(f"must be 0 to {MOST_POISSON:g}; nearer to 0.5 elements lock and no result is verified")
    return ratio


def _corners(box: tuple[Vector, Vector]) -> tuple[Vector, Vector]:
    if any(low == high for low, high in zip(*box, strict=True)):
        raise ValueError("the two corners of a box must differ along x, y and z")
    return box


Poisson = Annotated[float, AfterValidator(_compressible)]
SegmentName = Annotated[str, AfterValidator(lambda name: _known(name, "segment", (*SEGMENTS, *WHOLES)))]
"""A name of the anatomy table, or a whole such as `kidneys`."""
TissueName = Annotated[str, AfterValidator(_known_tissue)]
"""A name of the engine's tissue catalogue."""
SegmenterName = Annotated[str, AfterValidator(_known_segmenter)]
"""A segmenter that is installed here."""
Box = Annotated[tuple[Vector, Vector], AfterValidator(_corners)]
"""Two opposite corners, LPS mm."""


class Part(BaseModel):
    """Base of every piece of a scene: frozen, strict about its keys, and without numbers that are none."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


PhantomVoxels = Annotated[int, Field(ge=16, le=1024)]
"""The least and the most that `preop.imaging.phantom` makes along an axis."""


class PhantomOptions(Part):
    """The embedded patient, when no scan is given."""

    shape: tuple[PhantomVoxels, PhantomVoxels, PhantomVoxels] = (256, 256, 160)
    phase: Literal["native", "arterial", "portal"] = "portal"
    seed: int = Field(default=0, ge=0)
    variation: float = Field(default=0.0, ge=0, le=1)


class Patient(Part):
    """Where the scan comes from.

    `scan` is `phantom`, or a folder, zip or volume file (relative to the scene file); null where it is to be given
    with `--dicom`.
    `series` names a series where a folder holds several: the key that `preop inspect` shows, a series number, a
    description or a Series Instance UID. `phases` are the contrast phases that are preferred where several series would
    do, the best one first; null for those of the procedure. `accept_unplaced` takes
    a volume file that does not say how it lies in the patient, whose left and right may be the wrong way round.
    """

    scan: Annotated[str, Field(min_length=1)] | None = "phantom"
    series: str | None = Field(default=None, coerce_numbers_to_str=True)
    phases: tuple[Literal["native", "arterial", "portal", "delayed"], ...] | None = None
    resample_uneven: bool = False
    straighten_tilt: bool = True
    accept_unplaced: bool = False
    phantom: PhantomOptions = PhantomOptions()
    systolic_mmHg: Systolic = 120.0
    diastolic_mmHg: Diastolic = 80.0


class SeedOptions(Part):
    """A click inside an organ, or a box around it, in LPS mm."""

    point: Vector | None = None
    box: Box | None = None

    @model_validator(mode="after")
    def _one_of(self) -> SeedOptions:
        if (self.point is None) == (self.box is None):
            raise ValueError("give either a point or a box")
        return self


class SegmentationOptions(Part):
    """Which segmenter, in which contrast phase, with which seeds.

    `labels` names a label map file or a folder of masks to use instead of a segmenter. `accept_partial` computes on
    an organ of which the scan plainly holds a part only.
    """

    segmenter: SegmenterName = "classical"
    phase: Literal["auto", "native", "arterial", "portal"] = "auto"
    seeds: dict[SegmentName, SeedOptions] = {}
    labels: Annotated[str, Field(min_length=1)] | None = None
    accept_partial: bool = False

    @model_validator(mode="after")
    def _labels_given(self) -> SegmentationOptions:
        if self.segmenter == "labels" and self.labels is None:
            raise ValueError("the segmenter labels needs the key labels: a label map or a folder of masks")
        return self


class TissueChoice(Part):
    """A tissue of the catalogue; `young_kPa`, `poisson` and `density` (kg/m³) override its values."""

    tissue: TissueName
    young_kPa: Young | None = None
    poisson: Poisson | None = None
    density: Density | None = None


class Region(TissueChoice):
    """A part of the mesh with its own material: which segments it is made of, and of what tissue.

    An optional region is left out where the scan holds none of its segments.
    """

    labels: Annotated[tuple[SegmentName, ...], Field(min_length=1)]
    optional: bool = False


class Place(Part):
    """A part of a surface, by where the centroids of its facets lie. Give exactly one way.

    `point`: within `radius_mm` of a point (LPS mm).
    `towards`: around the middle of what is outermost in a direction, within `radius_mm` of it.
    `facing`: the outward normal within `within_deg` of a direction, in the outer `fraction` of the extent.
    `near`: within `within_mm` of another segment.
    `all`: the whole surface.
    """

    point: Vector | None = None
    towards: Vector | None = None
    facing: Vector | None = None
    near: tuple[SegmentName, ...] | None = None
    all: Literal[True] | None = None
    radius_mm: Radius = 12.0
    within_mm: Near = 6.0
    within_deg: Annotated[float, Field(gt=0, le=180)] = 45.0
    fraction: Fraction = 0.25

    @field_validator("towards", "facing")
    @classmethod
    def _direction(cls, value: Vector | None) -> Vector | None:
        if value is not None and not any(value):
            raise ValueError("a direction must not be 0 0 0")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Place:
        ways = [key for key in ("point", "towards", "facing", "near", "all") if getattr(self, key) is not None]
        if len(ways) != 1:
            raise ValueError("give exactly one of point, towards, facing, near, all")
        return self


RESERVED_SETS = ("grasp", "surface", "lumen", "inner", "outer")
"""Names of sets that meshing and procedures make; also what begins with these words and an underscore, or `end_`."""


def _free_set_name(name: str) -> str:
    if name != name.strip() or not name.isprintable():
        raise ValueError("a name must be of printable characters, without blanks at its ends")
    if name.split("_")[0] in (*RESERVED_SETS, "interface", "end"):
        raise ValueError("this name belongs to a part of the mesh; choose another")
    return name


SupportName = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_free_set_name)]


class Support(Part):
    """An elastic attachment: springs per surface area, as ligaments and neighbours give.

    `stiffness_kPa_per_mm` is traction per displacement (1 kPa/mm = 1e6 N/m³). A `one_sided` one is a neighbour that
    the organ lies on and may be lifted from: it pushes and never pulls. `tangential_kPa_per_mm` holds along the
    surface; without it a bed takes the same as along the normal, a one-sided one lets the organ slide.
    """

    name: SupportName
    where: Place
    stiffness_kPa_per_mm: Bed
    tangential_kPa_per_mm: BedOrNone | None = None
    one_sided: bool = False
    optional: bool = False


class SolverOptions(Part):
    """How the equilibrium is computed."""

    element: Literal["T4", "T10", "T4P1", "T10P1"] = "T4"
    load_steps: int = Field(default=8, ge=1, le=500)
    tolerance: Annotated[float, Field(gt=0, lt=1e-2)] = 1e-6


class Scene(Part):
    """One operation on one patient.

    `procedure` names the kind of operation; its own options stand under `options` and
    are checked by the procedure (see `preop.scenes.procedures`).
    """

    preop: Annotated[Literal[1], BeforeValidator(_whole_number)]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)]
    title: str
    description: str = ""
    needs: str = ""
    patient: Patient = Patient()
    segmentation: SegmentationOptions = SegmentationOptions()
    show: tuple[SegmentName, ...] = ()
    solver: SolverOptions = SolverOptions()
    procedure: str
    options: dict[str, Any] = {}
    folder: Path = Field(default=Path(), exclude=True)
    """Where relative paths start: the scene file's folder."""
    source: str = Field(default="", exclude=True)
    """The scene file as it was given; empty for a scene that comes with preop."""
    lines: dict[str, int] = Field(default={}, exclude=True)
    """Dotted key → its line in that file; 0 where it does not come from there."""

    def where(self, key: str = "") -> str:
        """What a message names: the file, with the line of the key; for a built-in scene its name."""
        return place_of(self.source or f"scene {self.name}", self.lines, key)
