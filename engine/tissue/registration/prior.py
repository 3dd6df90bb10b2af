"""What a registration assumes before anything is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....imaging.errors import SolverError
from .. import given


@dataclass(frozen=True)
class Prior:
    """What is assumed before anything is seen.

    Attributes:
        displacement: RMS displacement of the median node [m] from the loads.
        length: over which tractions vary [m].
        modes: patterns per component of traction.
        found: whether the data may halve `displacement` or double it, twice at most each, by evidence.
        pose: standard deviations of rotation [rad] and shift [m], each about each axis, of the frame of the points
            against the model's.
        unfollowed: standard deviation [m], along each axis, of the displacement that the model cannot follow
            (segmentation, small loads), and the distance [m] over which it is alike. It is taken off what points tell
            and added to what is said of targets.
        unlike: share of its deformation (RMS along each axis, rigid motion taken out) by which a body errs besides, for
            its stiffness is not known. A stiffness field of log-spread 0.35 with one hard tumour changes the phantom's
            displacements by 0.11 to 0.15 of them.
        uneven: τ of the scale of loads that nothing seen tells of, over that of those it does: an organ is pushed in a
            few places, and what pushes where it is hidden may be far more, ½ to 8 times (`uneven.py`). 0: as large.
            Chosen by likelihood on the phantom's seeds 0 to 24 out of 0, 0.35, 0.7 and 1, the last being the best.
    """

    displacement: float = 0.01
    length: float = 0.05
    modes: int = 60
    found: bool = True
    pose: tuple[float, float] = (0.1, 0.015)
    unfollowed: tuple[float, float] = (0.0005, 0.02)
    unlike: float = 0.15
    uneven: float = 1.0

    @property
    def pose_width(self) -> np.ndarray:
        """(6,) rad and m."""
        return np.repeat(self.pose, 3)

    def check(self) -> None:
        """Raise where a number is not possible.

        Raises:
            SolverError: one is not.
        """
        for name in ("displacement", "length"):
            value = given.number(getattr(self, name), f"a {name}", "prior", above=0.0, advice="Give m")
            if value > 1.0:
                raise SolverError(f"a {name} of {value:g} m is not possible", where="prior", advice="Give m, not mm")
        given.whole(self.modes, "modes", "prior")
        for name, advice in (("unlike", "Give a share of the deformation"), ("uneven", "Give a spread of a logarithm")):
            given.number(getattr(self, name), name, "prior", low=0.0, below=2.0, advice=advice)
        for name, advice in (("pose", "Give rad and m"), ("unfollowed", "Give m and m")):
            pair = given.array(getattr(self, name), name, "prior", (2,), advice=advice)
            if not ((np.asarray(pair) > 0) & (np.asarray(pair) < np.pi)).all():
                raise SolverError(f"{name} must be positive and small, not {pair}", where="prior", advice=advice)
