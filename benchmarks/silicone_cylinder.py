"""E/ρ of a silicone cylinder from its measured bent surface alone, its uncertainty, and what dominates what is left.

    .venv/bin/python benchmarks/silicone_cylinder.py [--quick] [--write]

The measured surface is not part of the repository: PREOP_SHARED_DATA names its folder. Each row of the table is one fit
of one number; the end point was measured apart and is not used. `--write` keeps the table and the picture in results/.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from machine_line import machine_line

RESULTS = Path(__file__).with_name("results") / "silicone_cylinder.md"
PICTURE = RESULTS.with_suffix(".png")


class Row(NamedTuple):
    """One fit: element, Poisson's ratio (0.5: incompressible), rings of the section, layers along the axis."""

    element: str
    poisson: float
    rings: int
    layers: int


ROWS = (
    Row("T10", 0.45, 2, 12),
    Row("T10", 0.49, 2, 12),
    Row("T10P1", 0.49, 2, 12),
    Row("T10P1", 0.5, 2, 12),
    Row("T10P1", 0.5, 3, 20),
    Row("H8", 0.499, 0, 0),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the first four rows")
    parser.add_argument("--rows", type=int, nargs="+", help="only these rows, from 0")
    parser.add_argument("--write", action="store_true", help="keep table and picture in results/")
    arguments = parser.parse_args()

    import jax

    jax.config.update("jax_enable_x64", True)
    from preop.engine.tissue.verification import silicone

    if silicone.missing():
        raise SystemExit(silicone.missing())
    rows = ROWS[:4] if arguments.quick else ROWS
    if arguments.rows:
        rows = [ROWS[k] for k in arguments.rows]
    lines = [
        f"One unknown, from the surface alone. {machine_line()}",
        "",
        "| element | ν | nodes | E/ρ m²/s² (95 %) | surface RMS mm | largest mm | end point off mm "
        "| residuals alike over mm | solves | s |",
        "|" + "---|" * 10,
    ]
    print("\n".join(lines))
    best = None
    for row in rows:
        line, found = fitted(row)
        lines.append(line)
        best = found if best is None or row.element == "T10P1" else best
        print(lines[-1], flush=True)
    assert best is not None
    lines += ["", *along_the_axis(*best)]
    print("\n".join(lines[-12:]))
    if arguments.write:
        draw(*best)
        RESULTS.write_text("\n".join(["# The silicone cylinder from its surface", "", *lines, ""]), encoding="utf-8")


def fitted(row: Row):
    """One line of the table, and (fit, points, model with its skin)."""
    from preop.engine.tissue.fitting.correlation import correlation_length
    from preop.engine.tissue.fitting.fit import fit
    from preop.engine.tissue.fitting.stiffness import RegionStiffness
    from preop.engine.tissue.fitting.surface import SurfacePoints
    from preop.engine.tissue.verification import silicone

    start = time.perf_counter()
    points = silicone.measured()
    problem = hanging(row)
    first = fit(problem, [RegionStiffness(("*",))], [SurfacePoints("skin", points)], load_steps=8, tolerance=1e-7)
    alike = correlation_length(points, first.residuals[0])
    seen = SurfacePoints("skin", points, correlation=alike)
    found = fit(problem, [RegionStiffness(("*",))], [seen], start=first.posterior.mean, load_steps=8, tolerance=1e-7)
    residual = 1e3 * found.residuals[0]
    estimate, unit = found.estimates[0], silicone.GUESS
    low, high = (unit * bound for bound in estimate.interval_95)
    off = 1e3 * float(np.linalg.norm(end_point(found) - silicone.END))
    nodes = found.problem.model.nodes
    line = (
        f"| {row.element} | {row.poisson:g} | {nodes} | {unit * estimate.value:.2f} ({low:.2f} to {high:.2f}) "
        f"| {np.sqrt((residual**2).mean()):.2f} | {np.abs(residual).max():.2f} | {off:.2f} | {1e3 * alike:.0f} "
        f"| {first.solves + found.solves} | {time.perf_counter() - start:.0f} |"
    )
    return line, (found, points)


def hanging(row: Row):
    """The cylinder clamped at z = 0 under its weight, E/ρ as guessed, all of its free surface in the set `skin`."""
    import equinox as eqx

    from preop.engine.tissue.loads import Gravity
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.supports import Fixed
    from preop.engine.tissue.verification import silicone
    from preop.engine.tissue.verification.meshes import curved, rod, round_rod
    from preop.meshing.hexahedra import read_hexahedra

    young = silicone.GUESS * silicone.DENSITY
    bulk = float("inf") if row.poisson == 0.5 else young * row.poisson / ((1 + row.poisson) * (1 - 2 * row.poisson))
    law = NeoHookean(young / (2 * (1 + row.poisson)), bulk)
    if row.element == "H8":
        file = silicone.measured_file().with_name("silicone_cylinder_rest_hexa.msh")
        mesh = read_hexahedra(file, unit="m")
        model = Model.from_mesh(mesh, {"*": law}, density=silicone.DENSITY, element="H8")
        clamp = np.flatnonzero(np.abs(np.asarray(model.points)[:, 2]) < 1e-6).astype(np.int32)
        sets = {**model.node_sets, "z0": clamp}
        model = eqx.tree_at(lambda m: m.facet_sets, model, {**model.facet_sets, "skin": model.facets_of("surface")})
        model = eqx.tree_at(lambda m: m.node_sets, model, sets)
    else:
        simple = Model.from_mesh(rod(row.rings, row.layers), {"*": law}, density=silicone.DENSITY, element=row.element)
        model = curved(simple, round_rod(silicone.RADIUS, silicone.LENGTH))
        skin = np.concatenate([model.facets_of("rim"), model.facets_of("z1")])
        model = eqx.tree_at(lambda m: m.facet_sets, model, {**model.facet_sets, "skin": skin})
    return model.problem(loads=[Gravity((0.0, -silicone.GRAVITY, 0.0))], supports=[Fixed("z0")])


def end_point(found) -> np.ndarray:
    """Where the middle of the free end is [m]: the mean of the end's nodes within a tenth of the radius."""
    from preop.engine.tissue.fitting.location import locate
    from preop.engine.tissue.verification import silicone

    model = found.problem.model
    nodes, weights, _ = locate(model, np.array([[0.0, 0.0, silicone.LENGTH * (1 - 1e-6)]]), "end")
    moved = np.asarray(model.points) + np.asarray(found.state.displacement)
    return np.einsum("nm,nmi->ni", weights, moved[nodes])[0]


def along_the_axis(found, points: np.ndarray) -> list[str]:
    """Where what is left lies: mean and spread of the signed distance by arc length, in eight pieces."""
    from preop.engine.tissue.fitting.surface import nearest

    model = found.problem.model
    facets = model.facets_of("skin")
    moved = np.asarray(model.points) + np.asarray(found.state.displacement)
    owner, _, _ = nearest(facets, moved, points)
    height = np.asarray(model.points)[facets[owner]].mean(axis=1)[:, 2]
    lines = ["| distance from the clamp mm | points | mean mm | spread mm |", "|---|---|---|---|"]
    residual = -1e3 * found.residuals[0]
    for low, high in zip(np.linspace(0, 0.178, 9)[:-1], np.linspace(0, 0.178, 9)[1:], strict=True):
        mine = (height >= low) & (height < high + 1e-9)
        if mine.any():
            part = residual[mine]
            lines.append(f"| {1e3 * low:.0f}–{1e3 * high:.0f} | {mine.sum()} | {part.mean():+.2f} | {part.std():.2f} |")
    return lines


def draw(found, points: np.ndarray) -> None:
    """Measured points, coloured by their signed distance from the fitted surface, from the side."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from preop.engine.tissue.verification import silicone

    model = found.problem.model
    moved = 1e3 * (np.asarray(model.points) + np.asarray(found.state.displacement))
    rest = 1e3 * np.asarray(model.points)
    skin = np.unique(model.facets_of("skin"))
    figure, (side, left) = plt.subplots(1, 2, figsize=(11, 5), width_ratios=(1.4, 1))
    side.plot(rest[skin, 2], rest[skin, 1], ".", ms=1, color="0.8", label="at rest")
    side.plot(moved[skin, 2], moved[skin, 1], ".", ms=2, color="0.4", label="fitted")
    residual = -1e3 * found.residuals[0]
    scatter = side.scatter(
        1e3 * points[:, 2], 1e3 * points[:, 1], c=residual, s=6, cmap="coolwarm", vmin=-1.5, vmax=1.5, label="measured"
    )
    figure.colorbar(scatter, ax=side, label="measured outside of fitted, mm")
    side.set(aspect="equal", xlabel="z mm", ylabel="y mm")
    side.legend(loc="upper right")
    one, unit = found.estimates[0], silicone.GUESS
    low, high = one.interval_95
    title = f"E/ρ {unit * one.value:.1f} ({unit * low:.1f} to {unit * high:.1f}) m²/s²"
    left.hist(residual, bins=60, color="0.4")
    left.set(
        xlabel="signed distance mm",
        ylabel="points",
        title=title,
    )
    figure.text(0.01, 0.01, "Not a medical device", size=8, color="0.4")
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
