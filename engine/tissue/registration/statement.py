"""What a registration says of itself: what the surface seen cannot tell, and what speaks against the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from .answer import Registration

TOLD = 0.05
"""Probability of a width from which on its body is spoken of."""
TOGETHER, GATHERED = 0.01, 5
"""m between neighbours of one group of points left out, and members from which on it is told."""
AS_NEAR = 0.3
"""Probability that rigid alignment is nearer from which on it is a doubt; half is no knowledge at all."""


def said_of(found: Registration) -> str:
    """All of it."""
    return (
        _told(found) + _stiffened(found) + _refused(found) + (_strained(found) or _more_of_it(found)) + _as_near(found)
    )


def _told(found: Registration) -> str:
    explained = 1.0 - np.diag(found.found.covariance)[6:]
    return (
        f"{100 * found.visible_share:.0f} % of the surface was seen. It determines {explained.sum():.1f} of "
        f"{len(explained)} patterns of load; of the others the prior speaks: a change of the median node by "
        f"{1e3 * float(found.probability @ found.widths):.0f} mm (RMS). {100 * found.found.held:.2g} % of the force "
        "within is what holds the body against rigid motion."
    )


def _stiffened(found: Registration) -> str:
    most = max(one.stiffened for one, p in zip(found.states, found.probability, strict=True) if p >= TOLD)
    if most == 0:
        return ""
    return (
        f" A stable shape was found with {most:g} times the stiffness at rest added alone: it is nearer to linear "
        "elasticity than the material given."
    )


def _refused(found: Registration) -> str:
    """How many points were left out, and where most of them lie."""
    count, total = len(found.left_out), len(found.left_out) + len(found.belonging)
    if count == 0:
        return ""
    share = f" {count} of {total} points ({100 * count / total:.1f} %) were left out as another surface's"
    gathered = _gathered(found.left_out)
    if len(gathered) < GATHERED:
        return share + f", no {GATHERED} of them together."
    middle = np.round(1e3 * gathered.mean(axis=0)).astype(int).tolist()
    return share + f", {len(gathered)} of them together about {middle} mm."


def _strained(found: Registration) -> str:
    """A doubt, where the widest prior is the likeliest."""
    if not found.strained:
        return ""
    return (
        f" Doubt it: the likeliest width, {1e3 * found.widest:.0f} mm, is the widest tried. Points of other tissue "
        "or a noise that is too small make it so; compare with `rigid`, crop the points, or give `displacement`."
    )


def _more_of_it(found: Registration) -> str:
    """A doubt: tissue that touches the organ without a step is found in part, and loads follow the rest."""
    if not found.width > found.assumed > 0.0 or len(_gathered(found.left_out)) < GATHERED:
        return ""
    return (
        f" Doubt it: the likeliest width, {1e3 * found.width:.0f} mm, is more than the {1e3 * found.assumed:.0f} mm "
        "assumed, and more of the tissue left out may be among the points kept; compare with `rigid`, crop the "
        "points, or give `displacement`."
    )


def _as_near(found: Registration) -> str:
    """A doubt, where the deformation found is no larger than what is known of it."""
    nearer = found.rigid_nearer
    if nearer < AS_NEAR:
        return ""
    return (
        f" Doubt that it is better than `rigid`, which is nearer with a probability of {100 * nearer:.0f} % at a place "
        "of the body: the deformation found is no larger than its uncertainty."
    )


def _gathered(points: NDArray) -> NDArray:
    """The largest group of points whose members have another within `TOGETHER`."""
    if len(points) == 0:
        return points
    pairs = cKDTree(points).query_pairs(TOGETHER, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(points), len(points)))
    label = connected_components(graph, directed=False)[1]
    return points[label == np.bincount(label).argmax()]
