"""Errors of targets when a liver is registered on a sparse surface, by visibility, noise and deformation; calibration.

    .venv/bin/python benchmarks/registration.py [--cases 24] [--others 24] [--fresh 14] [--truths FOLDER] [--write]

The phantom's liver (vessels outside of it left out) is imaged on two grids: one gives the truth its mesh and surface,
the other the model's. Truths: `engine/tissue/registration/phantom.py`; none lies in the family that the registration
can represent. `--cases` of them are pushed by pads: on these the registration was built. `--others` of them are pushed
by pads from other seeds, whose likelihood nothing was chosen by, and `--fresh` by packs on which the organ slides.
Truths that cannot be computed are drawn anew and counted; a registration that fails is a row. A folder keeps truths for
later runs.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import pickle
import time
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from machine_line import machine_line

RESULTS = Path(__file__).with_name("results") / "registration.md"
PARTS = ["liver", "liver_tumor", "liver_vessels", "portal_vein_intrahepatic"]
SETTINGS = list(product((0.01, 0.02, 0.03), (0.2, 0.4, 0.6), (0.001, 0.002)))
BANDS = ((0.0, 0.1), (0.1, 0.2), (0.2, 0.25), (0.25, 0.3), (0.3, 1.0))
FIRST_SEED = {"pads": 0, "pads, other seeds": 401, "packs": 100}
HEADER = (
    "| seed | deformation mm | visible | noise mm | best rigid mm | rigid mm | registered mm | largest mm "
    "| predicted mm | z spread | in 68 % | in 95 % | rigid nearer: said | true | doubted | s |"
)


class Scored(NamedTuple):
    """A line of the table; and, where it was registered, of all coordinates z and whether the intervals hold them;
    mean errors [mm], settings, and the share of targets that rigid alignment is nearer to, as said and as it is."""

    line: str
    score: np.ndarray | None = None
    held: np.ndarray | None = None
    rigid: float = np.nan
    registered: float = np.nan
    visible: float = np.nan
    deformation: float = np.nan
    said: float = np.nan
    nearer: float = np.nan


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=24, help="pushed by pads")
    parser.add_argument("--others", type=int, default=24, help="pushed by pads, other seeds")
    parser.add_argument("--fresh", type=int, default=14, help="pushed by packs")
    parser.add_argument("--truth", type=int, default=2500, help="tetrahedra of the truth")
    parser.add_argument("--model", type=int, default=5000, help="tetrahedra of the model that is registered")
    parser.add_argument("--truths", type=Path, help="folder that keeps truths")
    parser.add_argument("--write", action="store_true", help="keep the tables in results/")
    arguments = parser.parse_args()

    import jax

    jax.config.update("jax_enable_x64", True)
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.registration.outline import Outline
    from preop.engine.tissue.registration.phantom import Truth

    truth_mesh, fine = liver(160, arguments.truth, 3.0, 3)
    mesh, surface = liver(128, arguments.model, 5.0, 6)
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(5e3, 0.45)})
    outline = Outline.carried_by(model, *surface)
    lines = [f"Truth {len(truth_mesh.tetrahedra)} T10, model {len(mesh.tetrahedra)} T4. {machine_line()}"]
    for name, count in zip(FIRST_SEED, (arguments.cases, arguments.others, arguments.fresh), strict=True):
        if count:
            truth = Truth(truth_mesh, fine, pushed_by=name.split(",")[0])
            lines += ["", f"## Pushed by {name}", "", *table(truth, model, outline, name, count, arguments.truths)]
    if arguments.write:
        RESULTS.write_text("\n".join(["# Registration of a liver", "", *lines, ""]), encoding="utf-8")


def table(truth, model, outline, name: str, count: int, folder: Path | None) -> list[str]:
    """The rows of one kind of truth, their sums, and means by what was seen and by deformation."""
    lines, scored, skipped, seed = [HEADER, "|" + "---|" * 16], [], 0, FIRST_SEED[name]
    kind = name.split(",")[0]
    print("\n".join([name, *lines]))
    for number in range(count):
        setting, case = SETTINGS[(7 * number) % len(SETTINGS)], None
        while case is None:
            case, seed = kept(folder, kind, truth, seed, *setting), seed + 1
            skipped += case is None
        scored.append(row(model, outline, case, seed - 1))
        print(scored[-1].line, flush=True)
    done = [one for one in scored if one.score is not None]
    if not done:
        return [*lines, *(one.line for one in scored), "", f"None of {count} registered."]
    z = np.concatenate([one.score for one in done if one.score is not None])
    held = held_by(done)
    rigid, registered = np.mean([one.rigid for one in done]), np.mean([one.registered for one in done])
    summary = (
        f"{len(done)} of {count} registered; {skipped} truths could not be computed. Means: rigid "
        f"{rigid:.2f} mm, registered {registered:.2f} mm; "
        f"below 3 mm in {sum(one.registered < 3.0 for one in done)}; z spread {np.sqrt((z**2).mean()):.2f}; "
        f"in 68 %: {held[0]:.2f}; in 95 %: {held[1]:.2f}."
    )
    lines += [*(one.line for one in scored), "", summary, "", *grouped(done, "visible"), ""]
    lines += [*grouped(done, "deformation"), "", nearer(done)]
    print("\n".join(lines[-12:]))
    return lines


def grouped(done: list[Scored], name: str) -> list[str]:
    """Means over the cases that share a setting."""
    head = f"| {name} | cases | rigid mm | registered mm | below 3 mm | in 68 % | in 95 % |"
    lines = [head, "|" + "---|" * 7]
    for value in sorted({getattr(one, name) for one in done}):
        chosen = [one for one in done if getattr(one, name) == value]
        held = held_by(chosen)
        rigid, registered = np.mean([one.rigid for one in chosen]), np.mean([one.registered for one in chosen])
        lines.append(
            f"| {value:g} | {len(chosen)} | {rigid:.2f} | {registered:.2f} | "
            f"{sum(one.registered < 3.0 for one in chosen)} | {held[0]:.2f} | {held[1]:.2f} |"
        )
    return lines


def nearer(done: list[Scored]) -> str:
    """How often rigid alignment is nearer, by how often it was said to be."""
    parts = []
    for low, high in BANDS:
        chosen = [one for one in done if low <= one.said < high]
        if chosen:
            true = np.mean([one.nearer for one in chosen])
            parts.append(f"{100 * low:.0f} to {100 * high:.0f} %: {100 * true:.0f} % ({len(chosen)} cases)")
    return f"Targets that rigid alignment is nearer to, where `rigid_nearer` is {'; '.join(parts)}."


def held_by(done: list[Scored]) -> np.ndarray:
    """Shares of all coordinates that the intervals of 68 and 95 % hold."""
    return np.concatenate([one.held for one in done if one.held is not None], axis=1).mean(axis=1)


def held_in(found, case) -> np.ndarray:
    """(2, 3 k): whether the intervals of 68 and 95 % hold each coordinate."""
    each = [found.intervals(case.targets, share) for share in (0.68, 0.95)]
    return np.array([((low < case.moved) & (case.moved < high)).ravel() for low, high in each])


def liver(grid: int, count: int, edge: float, seed: int):
    """The phantom's liver on a grid, in about so many tetrahedra, and its surface: vertices in m, triangles."""
    from preop.imaging.phantom import PhantomParameters, make_phantom
    from preop.meshing.surface import surface_from_mask
    from preop.meshing.tetrahedra import tetrahedralize

    labels = make_phantom(PhantomParameters(shape=(grid, grid, grid), noise_hu=0.0)).labels
    mask = np.any([labels.mask(part) for part in PARTS], axis=0)
    surface = surface_from_mask(mask, labels.grid, name="liver", edge_length_mm=edge)
    mesh = tetrahedralize(labels, {"liver": PARTS}, target_tetrahedra=count, seed=seed)
    return mesh, (1e-3 * surface.points, surface.triangles)


def kept(folder: Path | None, kind: str, truth, seed: int, *setting: float):
    """`drawn`, or as the folder keeps it; drawn anew where the phantom's code is another."""
    from preop.engine.tissue.registration import camera, phantom, pushes

    sources = b"".join(inspect.getsource(module).encode() for module in (camera, phantom, pushes))
    code = hashlib.sha256(sources).hexdigest()[:8]
    name = f"{kind}-{len(truth.elements)}-{code}-{seed}-" + "-".join(f"{value:g}" for value in setting) + ".pkl"
    if folder is not None and (folder / name).exists():
        return pickle.loads((folder / name).read_bytes())
    case = drawn(truth, seed, *setting)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(pickle.dumps(case))
    return case


def drawn(truth, seed: int, deformation: float, visible: float, noise: float):
    """A case, or None where its truth cannot be computed."""
    from preop.imaging.errors import SolverError

    try:
        return truth.case(seed, deformation=deformation, visible=visible, noise=noise)
    except SolverError:
        return None


def row(model, outline, case, seed: int) -> Scored:
    """One case."""
    from preop.engine.tissue.registration.register import register
    from preop.imaging.errors import SolverError

    start = time.perf_counter()
    head = f"| {seed} | {1e3 * case.deformation:.0f} | {case.visible:.2f} | {1e3 * case.noise:.0f} "
    try:
        found = register(model, case.points, outline=outline)
    except SolverError as error:
        return Scored(f"{head}| {1e3 * case.rigid_best:.2f} | failed: {error} |")
    place, covariance = found.targets(case.targets)
    away = 1e3 * np.linalg.norm(place - case.moved, axis=1)
    rigid = 1e3 * np.linalg.norm(found.rigid.seen_from_model(case.targets) - case.moved, axis=1)
    held = held_in(found, case)
    score = ((place - case.moved) / np.sqrt(np.einsum("kii->ki", covariance))).ravel()
    predicted = 1e3 * np.sqrt(np.einsum("kii->k", covariance))
    nearer, doubted = (rigid < away).mean(), "yes" if "Doubt" in found.statement else ""
    told = f"{found.rigid_nearer:.2f} | {nearer:.2f} | {doubted} | {time.perf_counter() - start:.0f}"
    line = (
        f"{head}| {1e3 * case.rigid_best:.2f} | {rigid.mean():.2f} | {away.mean():.2f} | {away.max():.1f} "
        f"| {predicted.mean():.2f} | {np.sqrt((score**2).mean()):.2f} | {held[0].mean():.2f} "
        f"| {held[1].mean():.2f} | {told} |"
    )
    settings = round(case.visible, 1), round(case.deformation, 2)
    return Scored(line, score, held, rigid.mean(), away.mean(), *settings, found.rigid_nearer, nearer)


if __name__ == "__main__":
    main()
