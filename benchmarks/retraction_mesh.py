"""How far the numbers of `liver-retraction` depend on the mesh and the element.

    .venv/bin/python benchmarks/retraction_mesh.py [--meshes T4:12000 T4:40000 T10:12000] [--write]

The phantom's true labels, the built-in scene, and nothing changed but the wanted number of tetrahedra and their order.
The spread between the rows is what a figure of the report may be wrong by for its mesh alone. One thread: set
OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from machine_line import machine_line

from preop.imaging.phantom import PhantomParameters, make_phantom
from preop.imaging.segmentation.base import Segmentation
from preop.imaging.volume import ImageVolume, LabelMap

RESULTS = Path(__file__).with_name("results") / "retraction_mesh.md"
KEYS = {
    "grasped_area_cm2": "grasped cm²",
    "grasper_force_N": "force N",
    "liver_tumor_1_displacement_mm": "tumour 1 mm",
    "liver_tumor_2_displacement_mm": "tumour 2 mm",
    "strain_p99": "strain p99 %",
    "strain_peak": "strain peak %",
    "overstrained_ml": "over 30 % mL",
    "sag_mm": "sag mm",
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meshes", nargs="+", default=["T4:12000", "T4:40000", "T4:100000", "T10:6000", "T10:12000"])
    parser.add_argument("--size", type=int, default=128, help="voxels of the phantom along each axis")
    parser.add_argument("--write", action="store_true", help=f"keep the table in results/{RESULTS.name}")
    arguments = parser.parse_args()

    import jax

    jax.config.update("jax_enable_x64", True)
    phantom = make_phantom(PhantomParameters(shape=(arguments.size,) * 3, noise_hu=0.0))
    lines = [f"Phantom {arguments.size}³, true labels. {machine_line()}", ""]
    lines += ["| element | tetrahedra | s | " + " | ".join(KEYS.values()) + " |", "|" + "---|" * (3 + len(KEYS))]
    print("\n".join(lines))
    for mesh in arguments.meshes:
        element, _, count = mesh.partition(":")
        lines.append(row(phantom.volume, phantom.labels, element, int(count)))
        print(lines[-1], flush=True)
    if arguments.write:
        RESULTS.write_text("\n".join(["# The retraction by mesh and element", "", *lines, ""]), encoding="utf-8")


def row(volume: ImageVolume, labels: LabelMap, element: str, count: int) -> str:
    """One computation as a line of the table."""
    from preop.scenes.procedures.retraction import Retraction
    from preop.scenes.scene_file import load_scene
    from preop.scenes.session import Session

    scene = load_scene("liver-retraction", [f"options.tetrahedra={count}", f"solver.element={element}"])
    session = Session(scene, Path())
    session.volume, session.segmentation = volume, Segmentation(labels, (), True, "portal", "")
    start = time.perf_counter()
    outcome = Retraction().run(session)
    taken = time.perf_counter() - start
    found = {one.key: one.value for one in outcome.numbers}
    values = " | ".join(f"{found.get(key, np.nan):.3g}" for key in KEYS)
    return f"| {element} | {len(outcome.mesh.tetrahedra)} | {taken:.0f} | {values} |"


if __name__ == "__main__":
    main()
