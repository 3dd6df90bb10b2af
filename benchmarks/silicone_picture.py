"""What a fit of the silicone cylinder leaves: along the axis, and as a picture."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from silicone_bar import seen, stiffness


def along_the_axis(*fits) -> list[str]:
    """Where what is left lies: how far the measured section is from the fitted one, by arc length, in eight pieces."""
    head = " | ".join(f"{what}: x, y mm, spread mm" for what in ("E/ρ alone", "all granted"))
    lines = [f"| distance from the clamp mm | points | {head} |", "|---|---|---|---|"]
    for low, high in itertools.pairwise(np.linspace(0, 178, 9)):
        cells, mine = [], np.zeros(0, bool)
        for found in fits:
            height, normal, residual = seen(found)
            mine = (height >= low) & (height < high)
            shift = np.linalg.lstsq(normal[mine], residual[mine], rcond=None)[0]
            left = residual[mine] - normal[mine] @ shift
            cells.append(f"{shift[0]:+.2f}, {shift[1]:+.2f}, {left.std():.2f}")
        lines.append(f"| {low:.0f}–{high:.0f} | {mine.sum()} | " + " | ".join(cells) + " |")
    return lines


def draw(first, found, file: Path) -> None:
    """Measured points, coloured by their signed distance from the surface of either fit, from the side."""
    import matplotlib

    matplotlib.use("Agg")
    import jax.numpy as jnp
    import matplotlib.pyplot as plt

    from preop.engine.tissue.verification import silicone

    points = 1e3 * silicone.measured()
    figure, axes = plt.subplots(1, 3, figsize=(14, 5), width_ratios=(1.2, 1.2, 1), constrained_layout=True)
    dots: Any = None
    for one, ax, name in zip((first, found), axes[:2], ("E/ρ alone", "all granted"), strict=True):
        model = one.problem.model
        skin = np.unique(model.facets_of("skin"))
        moved = np.asarray(one.setting.seen_from_model(model.points + one.state.displacement))
        rest = 1e3 * np.asarray(one.setting.seen_from_model(jnp.asarray(model.points)))
        ax.plot(rest[skin, 2], rest[skin, 1], ".", ms=1, color="0.8")
        ax.plot(1e3 * moved[skin, 2], 1e3 * moved[skin, 1], ".", ms=2, color="0.4")
        residual = seen(one)[2]
        dots = ax.scatter(points[:, 2], points[:, 1], c=residual, s=6, cmap="coolwarm", vmin=-1.2, vmax=1.2)
        low, value, high = stiffness(one)
        ax.set(aspect="equal", xlabel="z mm", ylabel="y mm")
        ax.set_title(f"{name}: E/ρ {value:.1f} ({low:.1f} to {high:.1f}) m²/s²", fontsize=10)
        axes[2].hist(residual, bins=np.linspace(-1.5, 1.5, 61), histtype="step", label=name)
    figure.colorbar(dots, ax=axes[:2], label="measured outside of fitted, mm", shrink=0.8)
    axes[2].set(xlabel="signed distance mm", ylabel="points")
    axes[2].legend()
    figure.text(0.01, 0.01, "Not a medical device", size=8, color="0.4")
    figure.savefig(file, dpi=110)
