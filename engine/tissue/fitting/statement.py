"""What the data cannot tell, in words."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ..materials import Material
from ..model import Model
from .poisson import small_strain_poisson
from .posterior import OPEN_SHARE, Posterior
from .setting import Unknown

NAMED = 8
"""Up to so many numbers, open directions are spelt out."""


def statement(posterior: Posterior, unknowns: Sequence[Unknown], spans: Sequence[slice]) -> str:
    """One or a few sentences: how many numbers the data determine, which they do not, and what then holds them."""
    total = len(posterior.mean)
    open_count = posterior.undetermined.shape[1]
    parts = []
    if open_count == 0:
        parts.append(
            _plural(
                total, "The data determine the one unknown number.", f"The data determine all {total} unknown numbers."
            )
        )
    else:
        verb = "is" if open_count == 1 else "are"
        parts.append(f"{open_count} of {total} unknown numbers {verb} undetermined by the data.")
        told = _directions(posterior, unknowns, spans)
        parts += told
        parts.append(_holder(posterior))
    weak = int(((posterior.explained >= OPEN_SHARE) & (posterior.explained < 0.5)).sum())
    if weak:
        parts.append(f"{weak} more {'is' if weak == 1 else 'are'} known mostly from the prior.")
    return " ".join(parts)


def at_ends(posterior: Posterior, unknowns: Sequence[Unknown], spans: Sequence[slice]) -> list[str]:
    """Numbers known by a range whose best value is an end of it: the data, or what the model lacks, ask for more."""
    told = []
    for unknown, span in zip(unknowns, spans, strict=True):
        mean, (low, high) = posterior.mean[span], unknown.bounds
        for value, reported in zip(mean, unknown.report(mean), strict=False):
            if value <= low or value >= high:
                told.append(f"The best {reported.name} is the end of its range, {float(reported.value(value)):.4g}.")
    return told


def misfits(labels: Sequence[str], given: Sequence[float | None], residuals: Sequence[NDArray]) -> list[str]:
    """What the best numbers leave unexplained: residuals well above the noise that was given for them.

    Of n residuals of that noise the RMS over the noise is 1 with a standard deviation of 1/√(2n).
    """
    told = []
    for label, noise, residual in zip(labels, given, residuals, strict=True):
        ratio = 0.0 if noise is None else float(np.sqrt((residual**2).mean())) / noise
        if ratio > 1.0 + max(5.0 / np.sqrt(2 * len(residual)), 0.5):
            told.append(
                f"What was seen of {label} is missed by {ratio:.2g} times its noise: no values of these unknowns "
                "explain it, and the intervals are too narrow. Look for something else that differs, or a larger noise."
            )
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
    return "" if ratio is None else f" with ν {ratio[0]:.3g}"


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
