"""Names that other tools give to structures → the names of `anatomy`.

Masks come with file names (IRCAD, TotalSegmentator, 3D Slicer exports). A name that is not known stays as it is, with
the wholes that contain it where they can be told from the name.
"""

from __future__ import annotations

import colorsys
import re

from .anatomy import SEGMENTS, WHOLES, Segment

FIRST_FREE_LABEL = 1000
"""Ids from here on are given to structures that `anatomy` does not hold."""

_ALIASES = {
    "skin": "body", "body_trunc": "body", "body_trunk": "body", "body_envelope": "body",
    "leftlung": "lung_left", "left_lung": "lung_left", "lung_l": "lung_left",
    "rightlung": "lung_right", "right_lung": "lung_right", "lung_r": "lung_right",
    "bones": "bone", "skeleton": "bone",
    "vertebrae": "spine", "vertebral_column": "spine",
    "livertumor": "liver_tumor", "livertumors": "liver_tumor", "liver_tumors": "liver_tumor",
    "livertumour": "liver_tumor", "liver_tumour": "liver_tumor", "liver_tumours": "liver_tumor",
    "liver_lesion": "liver_tumor", "liver_lesions": "liver_tumor", "hepatic_tumor": "liver_tumor",
    "livervessels": "liver_vessels", "liver_vessel": "liver_vessels", "hepatic_vessels": "liver_vessels",
    "portalvein": "portal_vein", "portal_vein_and_splenic_vein": "portal_vein", "venous_portal": "portal_vein",
    "hepatic_veins": "hepatic_vein", "hepaticvein": "hepatic_vein",
    "venacava": "inferior_vena_cava", "venacava_venous": "inferior_vena_cava", "vena_cava": "inferior_vena_cava",
    "ivc": "inferior_vena_cava", "postcava": "inferior_vena_cava",
    "gall_bladder": "gallbladder",
    "leftkidney": "kidney_left", "left_kidney": "kidney_left", "kidney_l": "kidney_left",
    "rightkidney": "kidney_right", "right_kidney": "kidney_right", "kidney_r": "kidney_right",
    "kidney": "kidneys", "lung": "lungs", "bothkidneys": "kidneys", "bothlungs": "lungs",
    "artery": "aorta", "aorta_lumen": "aorta",
    "left_iliac_artery": "iliac_artery_left", "right_iliac_artery": "iliac_artery_right",
    "thrombus": "aortic_thrombus",
}  # fmt: skip

_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"vertebrae?_\w+|sacrum|coccyx|sacral_bone|l\d|t\d{1,2}|c\d", ("spine", "bone")),
    (r"ribs?_(left|right)(_\d+)?|sternum|costal_cartilages", ("ribs", "bone")),
    (r"hip_(left|right)|pelvic_bone|(left|right)_hip", ("pelvis", "bone")),
    (r"(femur|humerus|scapula|clavicula|clavicle)_(left|right)|skull", ("bone",)),
    (r"lung_\w*lobe_left", ("lung_left", "lungs")),
    (r"lung_\w*lobe_right", ("lung_right", "lungs")),
    (r"liver_(segment|lobe)_\w+", ("liver",)),
    (r"livertumou?r_?\d+|liver_tumou?r_\d+|liver_(lesion|cyst|metastasis)_?\d*", ("liver_tumor", "liver")),
    (r"kidney_cyst_(left|right)|kidney_tumou?r", ("kidneys",)),
)


def segment_name(text: str) -> str:
    """The name of `anatomy` for a file stem or label name in whatever spelling; unknown ones in snake_case."""
    name = re.sub(r"([a-z])([A-Z][a-z])", r"\1_\2", text.strip())
    name = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    name = re.sub(r"_?(mask|label|seg|segmentation)$", "", name) or name
    if name in SEGMENTS or name in WHOLES:
        return name
    return _ALIASES.get(name) or _ALIASES.get(name.replace("_", "")) or name


def segment_for(name: str, taken: set[int] | None = None) -> Segment:
    """The coded segment of a name; one with a free label id and no code where `anatomy` has none.

    Args:
        name: from `segment_name`.
        taken: label ids in use; the new one is added.
    """
    if name in SEGMENTS:
        return SEGMENTS[name]
    taken = set() if taken is None else taken
    label = FIRST_FREE_LABEL
    while label in taken:
        label += 1
    taken.add(label)
    wholes = next((wholes for pattern, wholes in _PARTS if re.fullmatch(pattern, name)), ())
    # Golden-ratio hues: neighbouring ids differ clearly, however many there are.
    colour = colorsys.hsv_to_rgb((label - FIRST_FREE_LABEL) * 0.618034 % 1.0, 0.55, 0.85)
    return Segment(name, label, "", name.replace("_", " "), colour, wholes)
