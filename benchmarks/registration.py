"""Errors of targets when a liver is registered on a sparse surface, by visibility, noise and deformation; calibration.

    .venv/bin/python benchmarks/registration.py [--cases 24] [--truth 2500] [--model 5000] [--write]

The phantom's liver (vessels outside of it left out) is meshed twice. Truths: `engine/tissue/registration/phantom.py`;
none lies in the family that the registration can represent. Rows that the truth's own solver cannot compute are drawn
anew and counted; a registration that fails is a row.
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
    from preop.engine.tissue.registration.phantom import Truth

    meshes = [liver(arguments.truth, 3), liver(arguments.model, 6)]
    truth = Truth(meshes[0])
    model = Model.from_mesh(meshes[1], {"*": NeoHookean.from_young(5e3, 0.45)})
    lines = [
        f"Truth {len(meshes[0].tetrahedra)} T10, model {len(meshes[1].tetrahedra)} T4. {machine_line()}",
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
        line, score, mean = row(model, case, seed - 1)
        lines.append(line)
        print(line, flush=True)
        if score is not None:
            scores.append(score)
            means.append(mean)
    z = np.concatenate(scores)
    lines += [
        "",
        f"{len(scores)} of {arguments.cases} registered; {skipped} truths could not be computed. Means: rigid "
        f"{np.mean([m[0] for m in means]):.2f} mm, registered {np.mean([m[1] for m in means]):.2f} mm; z spread "
        f"{np.sqrt((z**2).mean()):.2f}; in 68 %: {(np.abs(z) < 1).mean():.2f}; "
        f"in 95 %: {(np.abs(z) < 1.96).mean():.2f}.",
    ]
    print(lines[-1])
    if arguments.write:
        RESULTS.write_text("\n".join(["# Registration of a liver", "", *lines, ""]), encoding="utf-8")


def liver(count: int, seed: int):
    """The phantom's liver in about so many tetrahedra."""
    from preop.imaging.phantom import PhantomParameters, make_phantom
    from preop.meshing.tetrahedra import tetrahedralize

    phantom = make_phantom(PhantomParameters(shape=(128, 128, 128), noise_hu=0.0))
    return tetrahedralize(phantom.labels, {"liver": PARTS}, target_tetrahedra=count, seed=seed)


def drawn(truth, seed: int, deformation: float, visible: float, noise: float):
    """A case, or None where its truth cannot be computed."""
    from preop.imaging.errors import SolverError

    try:
        return truth.case(seed, deformation=deformation, visible=visible, noise=noise)
    except SolverError:
        return None


def row(model, case, seed: int):
    """A line of the table, z-scores (components of all targets), and (rigid, registered) mean error [mm]."""
    from preop.engine.tissue.registration.register import register
    from preop.imaging.errors import SolverError

    start = time.perf_counter()
    head = f"| {seed} | {1e3 * case.deformation:.0f} | {case.visible:.2f} | {1e3 * case.noise:.0f} "
    try:
        found = register(model, case.points)
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
