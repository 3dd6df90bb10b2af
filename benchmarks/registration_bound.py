"""How well targets can be known from a part of the surface: the best linear estimator that knows the truths' law.

    .venv/bin/python benchmarks/registration_bound.py [--members 960] [--write]

A thousand linear-elastic livers are pushed by pads as `phantom` draws them, without its tumours and stiffness fields.
Of each of 48 the normal displacement of the seen part is given at places that are known (no pairing), with noise and an
unknown pose; the others' covariance is the prior. The Gaussian posterior's mean has the least error of all linear
estimators; what registers real cases knows neither the law of the pads nor which place a point belongs to.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from machine_line import machine_line
from registration import liver

RESULTS = Path(__file__).with_name("results") / "registration_bound.md"
TESTED = 48
POSE = (0.1, 0.015)
"""Prior of the pose, rad and m, as in `Prior`; drawn evenly within 1.2 and 0.8 of it, as in `Truth.case`."""
POINTS = 582
"""Of 600, those that are no outliers."""


class Ensemble:
    """Linear truths, scaled to a largest displacement of 1."""

    def __init__(self, members: int) -> None:
        from preop.engine.tissue.fitting.location import locate
        from preop.engine.tissue.materials import NeoHookean
        from preop.engine.tissue.model import Model
        from preop.engine.tissue.registration.camera import geometry
        from preop.engine.tissue.registration.phantom import Truth

        mesh, fine = liver(160, 2500, 3.0, 3)
        self.truth = Truth(mesh, fine)
        self.model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(6e3, 0.45)})
        self.points, self.skin = np.asarray(self.model.points), self.truth.skin
        self.area = geometry(self.points[self.skin.facets])[2]
        self._assemble()
        moved = np.array([self._member(seed) for seed in range(10_000, 10_000 + members)])
        self.normal = np.einsum("mfki,fi->mf", moved[:, self.skin.facets], self.skin.normal) / 3.0
        nodes, weights, _ = locate(self.model, self.truth.targets, "targets")
        self.targets = np.einsum("km,zkmi->zki", weights, moved[:, nodes]).reshape(members, -1)
        self.pose_normal = np.einsum("fip,fi->fp", self._pose(self.skin.centre), self.skin.normal)
        self.pose_targets = self._pose(self.truth.targets).reshape(-1, 6)

    def _assemble(self) -> None:
        """Stiffness with the neighbours' bed, mass and gas pressure."""
        from scipy.sparse import block_diag

        from preop.engine.tissue.registration.free_body import FreeBody
        from preop.engine.tissue.registration.hidden_loads import _body_forces
        from preop.engine.tissue.registration.pushes import BED

        count, still = len(self.points), np.zeros_like(self.points)
        stiffness = FreeBody(self.model, "surface", 6e3).system.linearize(still, 1.0).matrix
        self.mass = _body_forces(self.model, np.array([1.0, 0.0, 0.0]))[:, 0]
        self.gas, bed = np.zeros((count, 3)), np.zeros((count, 3, 3))
        share = self.area[:, None, None] / 3.0
        normal, exposed = self.skin.normal, self.skin.exposed
        for corner in self.skin.facets.T:
            np.add.at(self.gas, corner[exposed], -(share[:, :, 0] * normal)[exposed])
            np.add.at(bed, corner[~exposed], (BED * share * normal[:, :, None] * normal[:, None])[~exposed])
        self.stiffness = (stiffness + block_diag(list(bed))).tocsr()

    def _member(self, seed: int) -> np.ndarray:
        from scipy.sparse.linalg import spsolve

        from preop.engine.tissue.registration.pushes import Pads

        frame = self.truth._frame(np.random.default_rng(seed))
        assert isinstance(frame.pushes, Pads)
        force = (frame.gas * self.gas + self.mass[:, None] * frame.gravity).ravel()
        held, moved = np.zeros(self.points.shape, bool), np.zeros_like(self.points)
        held[self.skin.facets[frame.held]] = True
        for patch, way in zip(frame.pushes.patches, frame.pushes.ways, strict=True):
            nodes = self.skin.facets[patch]
            held[nodes], moved[nodes] = True, way
        fixed, flat = held.ravel(), moved.ravel()
        right = force[~fixed] - self.stiffness[~fixed][:, fixed] @ flat[fixed]
        flat[~fixed] = spsolve(self.stiffness[~fixed][:, ~fixed].tocsc(), right)
        return moved / np.linalg.norm(moved, axis=1).max()

    def _pose(self, places: np.ndarray) -> np.ndarray:
        """(k, 3, 6) m per width of the pose's prior."""
        arm, unit = places - self.points.mean(axis=0), np.eye(3)
        turn = np.stack([POSE[0] * np.cross(unit[axis], arm) for axis in range(3)], axis=-1)
        return np.concatenate([turn, np.broadcast_to(POSE[1] * unit, turn.shape)], axis=-1)

    def error(self, number: int, deformation: float, visible: float, noise: float) -> float:
        """Mean error of the targets [mm] of one member, the others being the prior."""
        draw = np.random.default_rng(number)
        seen = self._seen(draw, visible)
        others = np.delete(np.arange(len(self.normal)), number)
        scale = deformation / np.sqrt(len(others))
        front, inside = scale * self.normal[others][:, seen].T, scale * self.targets[others].T
        by_pose, variance = self.pose_normal[seen], noise**2 * len(seen) / POINTS
        pose = draw.uniform(-1.0, 1.0, 6) * np.repeat([1.2, 0.8], 3)
        true = deformation * self.targets[number] + self.pose_targets @ pose
        told = deformation * self.normal[number, seen] + by_pose @ pose
        told += np.sqrt(variance) * draw.standard_normal(len(seen))
        covariance = front @ front.T + by_pose @ by_pose.T + variance * np.eye(len(seen))
        found = (inside @ front.T + self.pose_targets @ by_pose.T) @ np.linalg.solve(covariance, told)
        return 1e3 * float(np.linalg.norm((found - true).reshape(-1, 3), axis=1).mean())

    def _seen(self, draw: np.random.Generator, visible: float) -> np.ndarray:
        """Facets of the part that is seen, chosen as by `camera`."""
        centre, normal = self.skin.centre, self.skin.normal
        start = centre[draw.choice(np.flatnonzero(normal[:, 1] < -0.5))]
        order = np.argsort(np.linalg.norm(centre - start, axis=1) + 0.06 * np.maximum(normal[:, 1] + 0.2, 0.0))
        return order[: int(np.searchsorted(np.cumsum(self.area[order]), visible * self.area.sum())) + 1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=960)
    parser.add_argument("--write", action="store_true", help="keep the table in results/")
    arguments = parser.parse_args()

    import jax

    jax.config.update("jax_enable_x64", True)
    ensemble = Ensemble(arguments.members)
    lines = [
        f"{arguments.members} linear livers, {TESTED} tested. {machine_line()}",
        "",
        "| deformation mm | visible | noise mm | least mean error mm | below 3 mm |",
        "|" + "---|" * 5,
    ]
    chosen = range(0, arguments.members, max(arguments.members // TESTED, 1))
    for deformation, visible, noise in product((0.01, 0.02, 0.03), (0.2, 0.4, 0.6), (0.001, 0.002)):
        errors = np.array([ensemble.error(number, deformation, visible, noise) for number in chosen])
        below = f"{(errors < 3.0).sum()} of {len(errors)}"
        lines.append(f"| {1e3 * deformation:.0f} | {visible} | {1e3 * noise:.0f} | {errors.mean():.2f} | {below} |")
    print("\n".join(lines))
    if arguments.write:
        RESULTS.write_text("\n".join(["# What a part of the surface can tell of a liver", "", *lines, ""]), "utf-8")


if __name__ == "__main__":
    main()
