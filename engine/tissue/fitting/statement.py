"""What the data cannot tell, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from ..materials import Material
from ..model import Model
from .poisson import small_strain_poisson
from .posterior import FROM_PRIOR, OPEN_SHARE, ROUGH, Posterior
from .setting import Unknown

NAMED = 8
"""Up to so many numbers, open directions are spelt out."""
RATIO_DIGITS = 4
"""To which a ν read off a law is good: the law's own curvature over the strain it is read at."""


@dataclass(frozen=True)
class Known:
    """How many directions of the unknown numbers are known, and how; together all of them.

    Attributes:
        nothing: the data leave them open.
        prior: mostly from the prior.
        rough: from the data, by no better than a factor of 2 either way.
        well: the rest.
        roughly: (n,) which numbers lie along directions known roughly.
    """

    nothing: int
    prior: int
    rough: int
    well: int
    roughly: Bool[np.ndarray, " n"]


def known(posterior: Posterior, units: NDArray) -> Known:
    """Sorts the eigenvectors of JᵀWJ; `units` (n,) are the logarithms that coordinates of 1 mean, 0 where none."""
    v, share = posterior.directions, posterior.explained
    width = 1.96 * np.sqrt(np.einsum("ik,ij,jk->k", v, posterior.covariance, v) * (units**2) @ v**2)
    nothing = share < OPEN_SHARE
    prior = ~nothing & (share < FROM_PRIOR) & ((v[~posterior.flat] ** 2).sum(axis=0) > 0.5)
    rough = ~nothing & ~prior & (width > ROUGH)
    wide = 1.96 * posterior.spread * units > ROUGH
    roughly = wide & ((v[:, rough] ** 2).sum(axis=1) > 0.1)
    first, second, third = (int(kind.sum()) for kind in (nothing, prior, rough))
    return Known(first, second, third, len(share) - first - second - third, roughly)


def statement(posterior: Posterior, unknowns: Sequence[Unknown], spans: Sequence[slice]) -> str:
    """A few sentences: how many numbers the data determine, which they do not, and what then holds them."""
    found, total = known(posterior, _units(unknowns)), len(posterior.mean)
    if found.well == total:
        return _plural(
            total, "The data determine the one unknown number.", f"The data determine all {total} unknown numbers."
        )
    parts = []
    if found.nothing:
        parts.append(f"{_count(found.nothing, total)} undetermined by the data.")
        parts += _directions(posterior, unknowns, spans)
        parts.append(_holder(posterior))
    if found.rough:
        which = _wide(posterior, unknowns, spans, found.roughly)
        parts.append(
            f"{_count(found.rough, total, more=bool(parts))} known only roughly, by no better than a factor of 2 "
            f"either way{f' ({which})' if which else ''}."
        )
    if found.prior:
        parts.append(f"{_count(found.prior, total, more=bool(parts))} known mostly from the prior.")
    if found.well:
        parts.append(f"The data determine the other {found.well}.")
    return " ".join(parts)


def _units(unknowns: Sequence[Unknown]) -> NDArray:
    """Of each coordinate the logarithm that 1 means; without a prior, `scale` counts as a factor of 2."""
    found = []
    for unknown in unknowns:
        reports = unknown.report(np.zeros(unknown.size))
        if len(reports) != unknown.size:
            found.append(np.zeros(unknown.size))
            continue
        plain = np.where(unknown.flat, ROUGH, 0.0)
        found.append(np.where([r.logarithmic for r in reports], [r.spread for r in reports], plain))
    return np.concatenate(found)


def _wide(posterior: Posterior, unknowns: Sequence[Unknown], spans: Sequence[slice], chosen: NDArray) -> str:
    """The numbers chosen, with their intervals."""
    told = []
    for unknown, span in zip(unknowns, spans, strict=True):
        for k, reported in enumerate(unknown.report(posterior.mean[span])):
            if chosen[span][k]:
                ends = posterior.mean[span][k] + 1.96 * posterior.spread[span][k] * np.array([-1.0, 1.0])
                low, high = (float(reported.value(end)) for end in np.clip(ends, *unknown.bounds))
                told.append(f"{reported.name}: {low:.3g} to {high:.3g} {reported.unit}".rstrip())
    return "; ".join(told)


def _count(count: int, total: int, *, more: bool = False) -> str:
    """ "1 of 2 unknown numbers is"."""
    of = "more" if more else f"of {total} unknown numbers"
    return f"{count} {of} {'is' if count == 1 else 'are'}"


def at_ends(posterior: Posterior, unknowns: Sequence[Unknown], spans: Sequence[slice]) -> list[str]:
    """Numbers known by a range whose best value is an end of it: the data, or what the model lacks, ask for more."""
    told = []
    for unknown, span in zip(unknowns, spans, strict=True):
        mean, (low, high) = posterior.mean[span], unknown.bounds
        for value, reported in zip(mean, unknown.report(mean), strict=False):
            if value <= low or value >= high:
                told.append(f"The best {reported.name} is the end of its range, {float(reported.value(value)):.4g}.")
    return told


def conditions(model: Model) -> str:
    """On what the intervals depend besides the data: numbers that were taken as given and what the mesh can follow.

    Where the data are many, a finer mesh, another element or another ν can move the answer by more than its interval.
    """
    parts = []
    for block in model.blocks:
        ratio = "" if block.element.dimension < 3 else _poisson_in_words(block.material)
        parts.append(f"{len(block.nodes)} {block.element.name}{ratio}")
    return (
        f"The intervals hold for this mesh ({', '.join(parts)}; {model.nodes} nodes) and for all numbers not fitted as "
        "given: `over_meshes` adds what the mesh may change, a `Nuisance` what else is known only by a range."
    )


def _poisson_in_words(material: Material) -> str:
    """ν of the first element; no word where it is not one number."""
    ratio = small_strain_poisson(jax.tree.map(lambda leaf: jnp.asarray(leaf)[:1], material))
    return "" if ratio is None else f" with ν {round(float(ratio[0]), RATIO_DIGITS) + 0.0:.3g}"


def _holder(posterior: Posterior) -> str:
    loose = (posterior.undetermined[posterior.flat] ** 2).sum() > 0.5 * posterior.undetermined.shape[1]
    if loose:
        return "Nothing holds them: give a prior, or data of another kind (a force where only shape was seen)."
    return "There the answer is the prior's, mean and width."


def _directions(posterior: Posterior, unknowns: Sequence[Unknown], spans: Sequence[slice]) -> list[str]:
    told = []
    for unknown, span in zip(unknowns, spans, strict=True):
        share = (posterior.undetermined[span] ** 2).sum(axis=0)
        names = [r.name for r in unknown.report(posterior.mean[span])]
        if len(names) == unknown.size and unknown.size <= NAMED:
            told += [_in_words(direction, names) for direction in posterior.undetermined[span][:, share > 0.5].T]
        elif round(share.sum()):
            told.append(f"Of the {unknown.label}, {round(share.sum())} of {unknown.size} patterns are open.")
    return told


def _in_words(direction: NDArray, names: list[str]) -> str:
    """One direction over named numbers."""
    size = np.abs(direction) / np.linalg.norm(direction)
    order = np.argsort(size)[::-1]
    taking = [k for k in order if size[k] > 0.25]
    if size[order[0]] > 0.95:
        return f"The data say nothing of the {names[order[0]]}."
    chosen = direction[taking]
    alike = np.all(np.sign(chosen) == np.sign(chosen[0])) and np.abs(chosen).max() < 1.5 * np.abs(chosen).min()
    listed = _listed([names[k] for k in sorted(taking)])
    if alike:
        return f"The data fix the ratios but not the common scale of the {listed}."
    terms = " ".join(f"{direction[k]:+.2f} × {names[k]}" for k in sorted(taking))
    return f"The data leave open this mix (of logarithms, or of units of spread): {terms}."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _plural(count: int, one: str, many: str) -> str:
    return one if count == 1 else many
