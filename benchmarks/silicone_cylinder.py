"""E/ρ of a silicone cylinder from its measured bent surface alone, its uncertainty, and what dominates what is left.

    .venv/bin/python benchmarks/silicone_cylinder.py [--parts granted steps T10P1 T10 H8] [--write]

The measured surface is not part of the repository: PREOP_SHARED_DATA names its folder. By element: one number fitted in
the frame as given, over meshes and ν. `steps`, `granted`: what else is not known made unknown, step by step and on
three meshes. The end point was measured apart and is not used. `--write` keeps tables and picture in results/.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine_line import machine_line
from round_bar import round_bar

RESULTS = Path(__file__).with_name("results") / "silicone_cylinder.md"
PICTURE = RESULTS.with_suffix(".png")
LAYERS = 6
"""Along the axis, for each of the mesh's `fineness` in the section."""
LENGTH_ALIKE = 0.029
"""m over which errors go together: `correlation_length` of the first row's residuals along their normals."""
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


class Row(NamedTuple):
    """One fit: element, Poisson's ratio (0.5: incompressible), fineness (rings, or half the cells of a core's side)."""

    element: str
    poisson: float
    fineness: int


FAMILIES = {
    "T10P1": ((0.5, (2, 3, 4)), (0.499, (3,)), (0.49, (3,)), (0.47, (3,)), (0.45, (3,))),
    "T10": ((0.45, (2, 3, 4)), (0.49, (2, 3, 4))),
    "H8": ((0.45, (2, 3, 4)), (0.499, (2, 3, 4))),
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
        draw(first, found)
    lines += ["", *(f"* {one}" for one in found.estimates[1:]), "", found.statement, ""]
    return [*lines, *along_the_axis(first, found), ""]


def summary(name: str, found, seconds: float) -> str:
    """A line of the tables of what is granted."""
    from preop.engine.tissue.verification import silicone

    (low, value, high), residual = stiffness(found), 1e3 * found.residuals[0]
    off = 1e3 * np.linalg.norm(end_point(found.setting, found.state) - silicone.END)
    return (
        f"| {name} | {value:.2f} ({low:.2f} to {high:.2f}) | {50 * np.log(high / low):.1f} "
        f"| {1e3 * found.noises[0]:.2f} | {np.sqrt((residual**2).mean()):.2f} | {off:.2f} | {seconds:.0f} |"
    )


def posed(chosen: list[Any], fineness: int, start: np.ndarray | None = None):
    """A fit of these unknowns with a mixed mesh; frames turn about the middle of the clamp."""
    import equinox as eqx
    import jax.numpy as jnp

    from preop.engine.tissue.fitting.fit import fit
    from preop.engine.tissue.fitting.setting import Setting

    setting = Setting.of(hanging(Row("T10P1", 0.49, fineness)))
    setting = eqx.tree_at(lambda s: s.pivot, setting, jnp.zeros(3))
    return fit(setting, chosen, [surface()], start=start, load_steps=8, tolerance=1e-7)


def unknowns() -> list[tuple[str, list[Any]]]:
    """What is granted, in order, and how far: the sizes to their last digit, what nobody wrote down to 1 mm and 1°."""
    import equinox as eqx
    import jax.numpy as jnp

    from preop.engine.tissue.fitting.nuisance import Nuisance, poisson_ratio, pose
    from preop.engine.tissue.fitting.stiffness import RegionStiffness
    from preop.engine.tissue.verification import silicone

    def scaled(setting: Any, across: Any, along: Any) -> Any:
        points = setting.problem.model.points * jnp.stack([across, across, along])
        return eqx.tree_at(lambda s: s.problem.model.points, setting, points)

    def level(setting: Any, angle: Any) -> Any:
        pull = silicone.GRAVITY * jnp.stack([0.0 * angle, -jnp.cos(angle), jnp.sin(angle)])
        return eqx.tree_at(lambda s: s.problem.loads[0].acceleration, setting, pull)

    radius, length, half, degree = silicone.RADIUS, silicone.LENGTH, 5e-4, float(np.radians(1.0))
    sizes = [
        Nuisance("length", lambda s, v: scaled(s, 1.0, v / length), "m", between=(length - half, length + half)),
        Nuisance("radius", lambda s, v: scaled(s, v / radius, 1.0), "m", between=(radius - half, radius + half)),
    ]
    return [
        ("E/ρ alone", [RegionStiffness(("*",))]),
        ("ν from 0.45 to 0.5", [poisson_ratio(0.45, 0.5)]),
        ("length and radius ± 0.5 mm", sizes),
        ("frame of the scan, 1 mm and 1° about each axis", pose(1e-3, degree)),
        ("clamp level to 1°", [Nuisance("level of the clamp", level, "rad", mean=0.0, spread=degree)]),
    ]


def surface():
    """The measured points, their errors alike over `LENGTH_ALIKE`."""
    from preop.engine.tissue.fitting.surface import SurfacePoints
    from preop.engine.tissue.verification import silicone

    return SurfacePoints("skin", silicone.measured(), correlation=LENGTH_ALIKE)


def stiffness(found) -> tuple[float, float, float]:
    """Lower end, value and upper end of E/ρ [m²/s²]."""
    from preop.engine.tissue.verification import silicone

    one = found.estimates[0]
    return tuple(silicone.GUESS * v for v in (one.interval_95[0], one.value, one.interval_95[1]))  # pyright: ignore[reportReturnType]


def hanging(row: Row):
    """The cylinder clamped at z = 0 under its weight, E/ρ as guessed, all of its free surface in the set `skin`."""
    import equinox as eqx

    from preop.engine.tissue.loads import Gravity
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.supports import Fixed
    from preop.engine.tissue.verification import silicone
    from preop.engine.tissue.verification.meshes import curved, rod, round_rod

    law, density = NeoHookean.from_young(silicone.GUESS * silicone.DENSITY, row.poisson), silicone.DENSITY
    layers = LAYERS * row.fineness
    if row.element == "H8":
        mesh = round_bar(1e3 * silicone.RADIUS, 1e3 * silicone.LENGTH, 2 * row.fineness, 2 * layers)
        model = Model.from_mesh(mesh, {"*": law}, density=density, element="H8")
    else:
        simple = Model.from_mesh(rod(row.fineness, layers), {"*": law}, density=density, element=row.element)
        model = curved(simple, round_rod(silicone.RADIUS, silicone.LENGTH))
        skin = np.concatenate([model.facets_of("rim"), model.facets_of("z1")])
        model = eqx.tree_at(lambda m: m.facet_sets, model, {**model.facet_sets, "skin": skin})
    return model.problem(loads=[Gravity((0.0, -silicone.GRAVITY, 0.0))], supports=[Fixed("z0")])


def end_point(setting, state) -> np.ndarray:
    """Where the middle of the free end is [m], in the frame of the scan."""
    import jax.numpy as jnp

    from preop.engine.tissue.fitting.location import locate

    model = setting.problem.model
    points = np.asarray(model.points)
    nodes, weights, _ = locate(model, np.array([[0.0, 0.0, points[:, 2].max() * (1 - 1e-6)]]), "end")
    moved = points + np.asarray(state.displacement)
    return np.asarray(setting.seen_from_model(jnp.asarray(np.einsum("nm,nmi->ni", weights, moved[nodes]))))[0]


def along_the_axis(*fits) -> list[str]:
    """Where what is left lies: how far the measured section is from the fitted one, by arc length, in eight pieces."""
    head = " | ".join(f"{what}: x, y mm, spread mm" for what in ("E/ρ alone", "all granted"))
    lines = [f"| distance from the clamp mm | points | {head} |", "|---|---|---|---|"]
    for low, high in itertools.pairwise(np.linspace(0, 178, 9)):
        cells = []
        for found in fits:
            height, normal, residual = seen(found)
            mine = (height >= low) & (height < high)
            shift = np.linalg.lstsq(normal[mine], residual[mine], rcond=None)[0]
            left = residual[mine] - normal[mine] @ shift
            cells.append(f"{shift[0]:+.2f}, {shift[1]:+.2f}, {left.std():.2f}")
        lines.append(f"| {low:.0f}–{high:.0f} | {mine.sum()} | " + " | ".join(cells) + " |")
    return lines


def seen(found) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Height at rest [mm] of the places paired with the points, normals, and how far outside the points lie [mm]."""
    bound = surface().bind(found.setting, np.asarray(found.state.rows))
    rest = np.asarray(found.problem.model.points)[np.asarray(bound.nodes)]
    height = np.einsum("nm,nmi->ni", np.asarray(bound.weights), rest)[:, 2]
    return 1e3 * height, np.asarray(bound.normal), -1e3 * found.residuals[0]


def draw(first, found) -> None:
    """Measured points, coloured by their signed distance from the surface of either fit, from the side."""
    import matplotlib

    matplotlib.use("Agg")
    import jax.numpy as jnp
    import matplotlib.pyplot as plt

    from preop.engine.tissue.verification import silicone

    points = 1e3 * silicone.measured()
    figure, axes = plt.subplots(1, 3, figsize=(14, 5), width_ratios=(1.2, 1.2, 1), constrained_layout=True)
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
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
