"""The segments preop knows: name, label id, SNOMED CT code, colour, what it is part of.

One table for phantoms, segmenters, meshes and pictures. A new structure is one line.
Codes are SNOMED CT concept identifiers as used in DICOM (PS3.16, CID 7140-7153 and
related lists) and by 3D Slicer's terminology. numpy-free.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """A coded structure.

    Attributes:
        name: snake_case name used in scenes, tables and file names.
        label: id in a label map (uint16), fixed for good.
        code: SNOMED CT concept identifier.
        meaning: the concept in words, as shown to people.
        colour: sRGB in [0, 1].
        part_of: wholes that contain it: a mask or a Dice of the whole includes it.
    """

    name: str
    label: int
    code: str
    meaning: str
    colour: tuple[float, float, float]
    part_of: tuple[str, ...] = ()


_TABLE = (
    Segment("body", 1, "38266002", "Body (not otherwise labelled)", (0.87, 0.72, 0.60)),
    Segment("lung_left", 2, "44029006", "Left lung", (0.77, 0.55, 0.55), ("lungs",)),
    Segment("lung_right", 3, "3341006", "Right lung", (0.77, 0.55, 0.55), ("lungs",)),
    Segment("bone", 4, "272673000", "Bone", (0.94, 0.90, 0.80)),
    Segment("spine", 5, "421060004", "Vertebral column", (0.94, 0.90, 0.80), ("bone",)),
    Segment("ribs", 6, "113197003", "Ribs", (0.93, 0.89, 0.78), ("bone",)),
    Segment("pelvis", 7, "12921003", "Pelvic bone", (0.92, 0.88, 0.76), ("bone",)),
    Segment("liver", 10, "10200004", "Liver", (0.60, 0.26, 0.20)),
    Segment("liver_tumor", 11, "126851005", "Neoplasm of liver", (0.95, 0.80, 0.30), ("liver",)),
    Segment("liver_vessels", 12, "110806002", "Vessels of liver", (0.33, 0.70, 0.86), ("liver",)),
    Segment(
        "portal_vein_intrahepatic",
        13,
        "32764006",
        "Portal vein inside the liver",
        (0.25, 0.40, 0.85),
        ("liver", "liver_vessels", "portal_vein"),
    ),
    Segment("hepatic_vein", 14, "8993003", "Hepatic vein", (0.20, 0.25, 0.60), ("liver", "liver_vessels")),
    Segment("portal_vein", 15, "32764006", "Portal vein", (0.25, 0.40, 0.85)),
    Segment("inferior_vena_cava", 16, "64131007", "Inferior vena cava", (0.15, 0.20, 0.55)),
    Segment("gallbladder", 20, "28231008", "Gallbladder", (0.45, 0.65, 0.30)),
    Segment("spleen", 21, "78961009", "Spleen", (0.55, 0.25, 0.40)),
    Segment("kidney_left", 22, "18639004", "Left kidney", (0.72, 0.40, 0.30), ("kidneys",)),
    Segment("kidney_right", 23, "9846003", "Right kidney", (0.72, 0.40, 0.30), ("kidneys",)),
    Segment("aorta", 30, "15825003", "Aorta (lumen)", (0.85, 0.15, 0.12)),
    Segment("iliac_artery_left", 31, "73634005", "Left common iliac artery (lumen)", (0.96, 0.52, 0.46), ("aorta",)),
    Segment("iliac_artery_right", 32, "73634005", "Right common iliac artery (lumen)", (0.96, 0.52, 0.46), ("aorta",)),
    Segment("aortic_thrombus", 33, "396339007", "Intraluminal thrombus of aorta", (0.70, 0.55, 0.35)),
    Segment("aortic_wall", 40, "15825003", "Aorta (wall)", (0.90, 0.60, 0.55)),
)

SEGMENTS: dict[str, Segment] = {segment.name: segment for segment in _TABLE}
BY_LABEL: dict[int, Segment] = {segment.label: segment for segment in _TABLE}
WHOLES: tuple[str, ...] = ("lungs", "kidneys")
"""Names that exist only as a union of their parts."""
