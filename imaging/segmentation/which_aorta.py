"""Whether the aorta that was found can be the abdominal one: its kidneys or its fork tell.

The abdominal aorta gives off the arteries of the kidneys (L1-L2) and forks at L4. A scan that shows neither a whole
kidney nor the fork ends above, and what was followed there is the aorta of the chest.
"""

from __future__ import annotations

from .case import Case
from .quality import PLAUSIBLE_ML

_KIDNEYS = ("kidney_left", "kidney_right")
_ILIAC = ("iliac_artery_left", "iliac_artery_right")


def remark_where_not_abdominal(case: Case) -> None:
    """Write into `case.remarks` that what was found as aorta is not the abdominal one."""
    if not _any(case, ("aorta",)) or not case.wants("aorta", "aortic_thrombus") or _any(case, _ILIAC):
        return
    if any(_is_whole(case, name) for name in _KIDNEYS):
        return
    kidneys = "only pieces of kidneys" if _any(case, _KIDNEYS) else "no kidneys"
    case.remarks.append(f"{kidneys} and no fork of the aorta in this scan: what is measured is not the abdominal aorta")


def _any(case: Case, names: tuple[str, ...]) -> bool:
    return any(name in case.masks and bool(case.masks[name].any()) for name in names)


def _is_whole(case: Case, name: str) -> bool:
    """The scan's lower end does not cut it, or only a little of it."""
    mask = case.masks.get(name)
    if mask is None or not mask.any():
        return False
    least, _ = PLAUSIBLE_ML[name]
    return not mask[:, :, 0].any() or bool(mask.sum() * case.grid.voxel_volume / 1000.0 >= least)
