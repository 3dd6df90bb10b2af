"""E/ρ of a silicone cylinder from its measured bent surface alone, its uncertainty, and what dominates what is left.

    .venv/bin/python benchmarks/silicone_cylinder.py [--parts granted steps T10P1 T10 H8] [--write]

The measured surface is not part of the repository: PREOP_SHARED_DATA names its folder. By element: one number fitted in
the frame as given, over meshes and ν. `steps`, `granted`: what else is not known made unknown, step by step and on
three meshes. The end point was measured apart and is not used. `--write` keeps tables and picture in results/.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from machine_line import machine_line
from silicone_bar import LENGTH_ALIKE, Row, end_point, hanging, posed, stiffness, surface, unknowns
from silicone_picture import along_the_axis, draw, seen

RESULTS = Path(__file__).with_name("results") / "silicone_cylinder.md"
ONE = 73.8
"""E/ρ [m²/s²] that every row is also solved with: the answer with all that is not known."""
HEAD = "| unknown | E/ρ m²/s² (95 %) | ± % | noise mm | surface RMS mm | end point off mm | s |"
HEADINGS = {
    "granted": "The answer: all that is not known made unknown, on three meshes",
    "steps": "What each of it adds, on the coarsest mesh",
    "T10P1": "One number in the frame as given: T10/T4, displacement and pressure",
    "T10": "One number in the frame as given: T10, displacement alone",
    "H8": "One number in the frame as given: H8 with mean dilatation",
}
ADEQUATE = 0.01
"""Of E/ρ: a mesh whose error by Roache's index is more is not counted among the answers."""


FAMILIES = {
    "T10P1": ((0.5, (2, 3, 4)), (0.499, (3,)), (0.49, (3,)), (0.47, (3,)), (0.45, (3,))),
    "T10": ((0.45, (2, 3, 4)), (0.49, (2, 3, 4))),
    "H8": ((0.45, (2, 3, 4)), (0.499, (2, 3))),
}
"""By element: ν, and the meshes from coarse to fine."""


class Answer(NamedTuple):
    """What one row gives."""

    row: Row
    nodes: int
    size: float
    value: float
    low: float
    high: float
    rms: float
    largest: float
    end: float
    common: tuple[float, float]
    solves: int
    seconds: float


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=HEADINGS, default=tuple(HEADINGS))
    parser.add_argument("--write", action="store_true", help="keep tables and picture in results/")
    arguments = parser.parse_args()

    import jax

    jax.config.update("jax_enable_x64", True)
    from preop.engine.tissue.verification import silicone

    if silicone.missing():
        raise SystemExit(silicone.missing())
    for part in arguments.parts:
        lines = granted(draws=arguments.write) if part == "granted" else steps() if part == "steps" else rows(part)
        print("\n".join(lines))
        if arguments.write:
            keep(part, [machine_line(), "", *lines])


def keep(part: str, lines: list[str]) -> None:
    """Puts a section in the place of the one that was there."""
    sections: dict[str, str] = {}
    if RESULTS.is_file():
        for section in RESULTS.read_text(encoding="utf-8").split("\n## ")[1:]:
            sections[section.split("\n")[0]] = section.split("\n", 1)[1].strip()
    sections[HEADINGS[part]] = "\n".join(lines).strip()
    told = [f"## {name}\n\n{sections[name]}\n" for name in HEADINGS.values() if name in sections]
    RESULTS.write_text("\n".join(["# The silicone cylinder from its surface\n", *told]), encoding="utf-8")


def rows(element: str) -> list[str]:
    """The table of one number in the frame as given."""
    lines = [
        "| ν | nodes | E/ρ m²/s² (95 %, data alone) | mesh: off by % | surface RMS mm | largest mm "
        f"| end point off mm | with {ONE:g}: RMS, end mm | solves | s |",
        "|" + "---|" * 10,
    ]
    values: list[float] = []
    for poisson, finenesses in FAMILIES[element]:
        family: list[Answer] = []
        for fineness in finenesses:
            family.append(answered(Row(element, poisson, fineness)))
            off = mesh_error(family)
            lines.append(told(family[-1], off))
            print(lines[-1], flush=True)
            values += [family[-1].value] if off is not None and off < ADEQUATE else []
    if values:
        lines += ["", f"Meshes off by less than {100 * ADEQUATE:g} %: {min(values):.2f} to {max(values):.2f} m²/s²."]
    return [*lines, ""]


def told(one: Answer, off: float | None) -> str:
    """A line of the table."""
    mesh = "–" if off is None else f"{100 * off:.2f}"
    value = f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"
    return (
        f"| {one.row.poisson:g} | {one.nodes:,} | {value} | {mesh} | {one.rms:.2f} | {one.largest:.2f} | {one.end:.2f} "
        f"| {one.common[0]:.2f}, {one.common[1]:.2f} | {one.solves} | {one.seconds:.0f} |"
    )


def mesh_error(family: list[Answer]) -> float | None:
    """Roache's index of the last, relative."""
    from preop.engine.tissue.fitting.discretisation import grid_convergence

    if len(family) < 2:
        return None
    return grid_convergence([a.size for a in family], [np.log(a.value) for a in family]).bound


def answered(row: Row) -> Answer:
    """One number in the frame as given."""
    from preop.engine.tissue.fitting.discretisation import element_size
    from preop.engine.tissue.fitting.fit import fit
    from preop.engine.tissue.fitting.stiffness import RegionStiffness
    from preop.engine.tissue.verification import silicone

    start = time.perf_counter()
    found = fit(hanging(row), [RegionStiffness(("*",))], [surface()], load_steps=8, tolerance=1e-7)
    low, value, high = stiffness(found)
    residual = 1e3 * found.residuals[0]
    return Answer(
        row,
        found.problem.model.nodes,
        element_size(found),
        value,
        low,
        high,
        float(np.sqrt((residual**2).mean())),
        float(np.abs(residual).max()),
        1e3 * float(np.linalg.norm(end_point(found.setting, found.state) - silicone.END)),
        with_one_number(found),
        found.solves,
        time.perf_counter() - start,
    )


def with_one_number(found) -> tuple[float, float]:
    """RMS of the surface and distance of the end [mm] where E/ρ is `ONE`."""
    from preop.engine.tissue.fitting.equilibria import Equilibria
    from preop.engine.tissue.verification import silicone

    change = np.array([np.log(ONE / stiffness(found)[1])])
    near = Equilibria(found.setting, found.unknowns, tolerance=1e-7)
    state, setting = near.solve(change, found.state), near.setting(change)
    residual = np.asarray(surface().bind(setting, np.asarray(state.rows)).distance)
    end = np.linalg.norm(end_point(setting, state) - silicone.END)
    return 1e3 * float(np.sqrt((residual**2).mean())), 1e3 * float(end)


def steps() -> list[str]:
    """What else is not known made unknown, one after the other, on the coarsest mesh."""
    lines = [HEAD, "|" + "---|" * 7]
    groups = unknowns()
    for count, (name, _) in enumerate(groups, 1):
        start = time.perf_counter()
        found = posed([one for _, group in groups[:count] for one in group], 2)
        lines.append(summary(("and " if count > 1 else "") + name, found, time.perf_counter() - start))
        print(lines[-1], flush=True)
    return [*lines, ""]


def granted(*, draws: bool) -> list[str]:
    """The answer: all that is not known made unknown, on three meshes."""
    from preop.engine.tissue.fitting.discretisation import over_meshes

    lines = [HEAD, "|" + "---|" * 7]
    groups, fits = unknowns(), []
    for fineness in (2, 3, 4):
        start = time.perf_counter()
        chosen = [one for _, group in groups for one in group]
        fits.append(posed(chosen, fineness, fits[-1].posterior.mean if fits else None))
        nodes = f"{fits[-1].problem.model.nodes:,} nodes"
        lines.append(summary(f"all, {nodes}", fits[-1], time.perf_counter() - start))
        print(lines[-1], flush=True)
    found = over_meshes(fits)
    lines.append(summary("**all, and what the mesh may change**", found, 0.0))
    first = posed(groups[0][1], 3)
    if draws:
        draw(first, found, RESULTS.with_suffix(".png"))
    lines += ["", *(f"* {one}" for one in found.estimates[1:]), "", found.statement, ""]
    return [*lines, *along_the_axis(first, found), "", alike(found), ""]


def alike(found) -> str:
    """Over which length the errors that are left go together, beside the one that the fits take."""
    from preop.engine.tissue.fitting.correlation import correlation_length
    from preop.engine.tissue.verification import silicone

    _, normal, residual = seen(found)
    length = correlation_length(silicone.measured(), residual, normal)
    return f"What is left goes together over {1e3 * length:.0f} mm; the fits take {1e3 * LENGTH_ALIKE:.0f} mm."


def summary(name: str, found, seconds: float) -> str:
    """A line of the tables of what is granted."""
    from preop.engine.tissue.verification import silicone

    (low, value, high), residual = stiffness(found), 1e3 * found.residuals[0]
    off = 1e3 * np.linalg.norm(end_point(found.setting, found.state) - silicone.END)
    return (
        f"| {name} | {value:.2f} ({low:.2f} to {high:.2f}) | {50 * np.log(high / low):.1f} "
        f"| {1e3 * found.noises[0]:.2f} | {np.sqrt((residual**2).mean()):.2f} | {off:.2f} | {seconds:.0f} |"
    )


if __name__ == "__main__":
    main()
