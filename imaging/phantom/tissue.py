"""CT numbers of tissues by contrast phase, and how much they vary from place to place.

Ranges: native soft tissue after Hofer, CT Teaching Manual (2010) and Kalender, Computed
Tomography (2011); abdominal enhancement after Bae, Radiology 256:32 (2010) and Foley et
al., AJR 174 (2000): portal phase liver 100-120, aorta 150-180, portal vein 160-190,
spleen 110-130, renal cortex 170-210; late arterial aorta 300-400, liver 60-75, cortex
150-200; trabecular bone of the spine 120-220, cortical bone 600-1200, thrombus 30-60.
"""

from __future__ import annotations

from dataclasses import dataclass

from .parameters import PHASES


@dataclass(frozen=True)
class Tissue:
    """Mean CT number (HU) and the standard deviation (HU) of its slow variation in space."""

    hu: float
    texture: float = 0.0


# tissue: (native, arterial, portal) HU, texture HU
_TABLE: dict[str, tuple[float, float, float, float]] = {
    "air": (-1000, -1000, -1000, 0),
    "gas": (-990, -990, -990, 4),
    "lung": (-860, -845, -850, 28),
    "lung_vessel": (40, 180, 130, 0),
    "skin": (35, 40, 45, 5),
    "fat": (-103, -102, -101, 7),
    "myocardium": (45, 95, 110, 5),
    "heart_blood": (43, 260, 160, 3),
    "muscle": (52, 58, 63, 9),
    "cartilage": (95, 95, 95, 15),
    "cortical_bone": (820, 820, 830, 90),
    "trabecular_bone": (205, 210, 215, 35),
    "disc": (80, 80, 82, 6),
    "spinal_cord": (28, 30, 32, 4),
    "liver": (57, 68, 110, 5),
    "tumour": (38, 46, 58, 7),
    "tumour_core": (28, 32, 40, 7),
    "tumour_rim": (50, 112, 98, 8),
    "portal_vein": (42, 95, 172, 2),
    "hepatic_vein": (42, 52, 162, 2),
    "gallbladder_wall": (40, 60, 80, 3),
    "bile": (8, 8, 8, 2),
    "spleen": (48, 128, 122, 4),
    "kidney_cortex": (33, 172, 192, 6),
    "kidney_medulla": (30, 78, 165, 6),
    "renal_pelvis": (8, 10, 18, 3),
    "pancreas": (42, 105, 92, 12),
    "bowel_wall": (40, 75, 92, 6),
    "bowel_content": (18, 18, 18, 10),
    "stool": (20, 20, 20, 60),
    "stomach_content": (15, 15, 15, 8),
    "aorta": (43, 325, 162, 3),
    "vein": (42, 70, 140, 4),
    "vessel_wall": (45, 60, 65, 3),
    "thrombus": (42, 45, 46, 6),
    "table_shell": (40, 40, 40, 10),
    "table_core": (-940, -940, -940, 5),
}


def tissues(phase: str, enhancement: float = 1.0) -> dict[str, Tissue]:
    """Every tissue in the given phase; `enhancement` scales what the contrast agent adds."""
    column = PHASES.index(phase)
    table = {name: Tissue(row[0] + enhancement * (row[column] - row[0]), row[3]) for name, row in _TABLE.items()}
    if phase == "arterial":
        # Red and white pulp fill at different speeds: the early spleen is striped.
        table["spleen"] = Tissue(table["spleen"].hu, 32)
    return table
