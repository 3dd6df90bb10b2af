"""Errors of targets when a liver is registered on a sparse surface, by visibility, noise and deformation; calibration.

    .venv/bin/python benchmarks/registration.py [--cases 24] [--truth 2500] [--model 5000] [--write]

The phantom's liver (vessels outside of it left out) is imaged on two grids: one gives the truth its mesh and surface,
the other the model's. Truths: `engine/tissue/registration/phantom.py`; none lies in the family that the registration
can represent. Truths that cannot be computed are drawn anew and counted; a registration that fails is a row.
"""

from __future__ import annotations

import argparse
import time
from itertools import product
from pathlib import Path

import numpy as np
from machine_line import machine_line

RESULTS = Path(__file__).with_name("results") / "registration.md"
PARTS = ["liver", "liver_tumor", "liver_vessels", "portal_vein_intrahepatic"]
SETTINGS = list(product((0.01, 0.02, 0.03), (0.2, 0.4, 0.6), (0.001, 0.002)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=24)
    parser.add_argument("--truth", type=int, default=2500, help="tetrahedra of the truth")
    parser.add_argument("--model", type=int, default=5000, help="tetrahedra of the model that is registered")
    parser.add_argument("--write", action="store_true", help="keep the table in results/")
    arguments = parser.parse_args()

    import jax

    jax.config.update("jax_enable_x64", True)
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.registration.outline import Outline
    from preop.engine.tissue.registration.phantom import Truth

    truth_mesh, fine = liver(160, arguments.truth, 3.0, 3)
    mesh, surface = liver(128, arguments.model, 5.0, 6)
    truth = Truth(truth_mesh, fine)
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(5e3, 0.45)})
    outline = Outline.carried_by(model, *surface)
    lines = [
        f"Truth {len(truth_mesh.tetrahedra)} T10, model {len(mesh.tetrahedra)} T4. {machine_line()}",
        "",
        "| seed | deformation mm | visible | noise mm | best rigid mm | rigid mm | registered mm | largest mm "
        "| predicted mm | z spread | in 68 % | in 95 % | s |",
        "|" + "---|" * 13,
    ]
    print("\n".join(lines))
    scores, means, skipped, seed = [], [], 0, 0
    for number in range(arguments.cases):
        deformation, visible, noise = SETTINGS[(7 * number) % len(SETTINGS)]
        case = None
        while case is None:
            case, seed = drawn(truth, seed, deformation, visible, noise), seed + 1
            skipped += case is None
        line, score, mean = row(model, outline, case, seed - 1)
        lines.append(line)
        print(line, flush=True)
        if score is not None and mean is not None:
            scores.append(score)
            means.append((visible, deformation, *mean))
    z = np.concatenate(scores)
    lines += [
        "",
        f"{len(scores)} of {arguments.cases} registered; {skipped} truths could not be computed. Means: rigid "
        f"{np.mean([m[2] for m in means]):.2f} mm, registered {np.mean([m[3] for m in means]):.2f} mm; z spread "
        f"{np.sqrt((z**2).mean()):.2f}; in 68 %: {(np.abs(z) < 1).mean():.2f}; "
        f"in 95 %: {(np.abs(z) < 1.96).mean():.2f}.",
    ]
    lines += ["", *grouped(np.array(means), 0, "visible"), "", *grouped(np.array(means), 1, "deformation m")]
    print("\n".join(lines[-12:]))
    if arguments.write:
        RESULTS.write_text("\n".join(["# Registration of a liver", "", *lines, ""]), encoding="utf-8")


def grouped(means: np.ndarray, column: int, name: str) -> list[str]:
    """Means over the cases that share a setting."""
    lines = [f"| {name} | cases | rigid mm | registered mm | below 3 mm |", "|" + "---|" * 5]
    for value in np.unique(means[:, column]):
        chosen = means[means[:, column] == value]
        below = int((chosen[:, 3] < 3.0).sum())
        lines.append(f"| {value:g} | {len(chosen)} | {chosen[:, 2].mean():.2f} | {chosen[:, 3].mean():.2f} | {below} |")
    return lines


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


def drawn(truth, seed: int, deformation: float, visible: float, noise: float):
    """A case, or None where its truth cannot be computed."""
    from preop.imaging.errors import SolverError

    try:
        return truth.case(seed, deformation=deformation, visible=visible, noise=noise)
    except SolverError:
        return None


def row(model, outline, case, seed: int):
    """A line of the table, z-scores (components of all targets), and (rigid, registered) mean error [mm]."""
    from preop.engine.tissue.registration.register import register
    from preop.imaging.errors import SolverError

    start = time.perf_counter()
    head = f"| {seed} | {1e3 * case.deformation:.0f} | {case.visible:.2f} | {1e3 * case.noise:.0f} "
    try:
        found = register(model, case.points, outline=outline)
    except SolverError as error:
        return f"{head}| {1e3 * case.rigid_best:.2f} | failed: {error} |", None, None
    place, covariance = found.targets(case.targets)
    away = 1e3 * np.linalg.norm(place - case.moved, axis=1)
    rigid = 1e3 * np.linalg.norm(found.rigid.seen_from_model(case.targets) - case.moved, axis=1)
    score = ((place - case.moved) / np.sqrt(np.einsum("kii->ki", covariance))).ravel()
    predicted = 1e3 * np.sqrt(np.einsum("kii->k", covariance))
    line = (
        f"{head}| {1e3 * case.rigid_best:.2f} | {rigid.mean():.2f} | {away.mean():.2f} | {away.max():.1f} "
        f"| {predicted.mean():.2f} | {np.sqrt((score**2).mean()):.2f} | {(np.abs(score) < 1).mean():.2f} "
        f"| {(np.abs(score) < 1.96).mean():.2f} | {time.perf_counter() - start:.0f} |"
    )
    return line, score, (rigid.mean(), away.mean())


if __name__ == "__main__":
    main()
