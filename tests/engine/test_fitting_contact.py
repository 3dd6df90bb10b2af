"""Fits of bodies in contact: how equilibria move with the unknowns, against central differences of new solves."""

from __future__ import annotations

import bodies
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue.contact import Tie, TissueContact
from preop.engine.tissue.fitting.equilibria import Equilibria
from preop.engine.tissue.fitting.setting import Setting
from preop.engine.tissue.fitting.stiffness import RegionStiffness
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.supports import Fixed
from preop.meshing.mesh import TetMesh

# With the step of the differences, and how exact they are: Uzawa's rounds end within 10 nm, which a step of 2 % bears.
CONTACTS = {
    "penalty": (TissueContact("up_z0", "low_z1", onset=1e-6), 1e-4, 1e-5),
    "multipliers": (TissueContact("up_z0", "low_z1", penetration=1e-8), 2e-2, 5e-3),
    "tie": (Tie("up_z0", "low_z1", jump=1e-10), 1e-4, 1e-5),
}


def equilibria(contact: TissueContact | Tie) -> Equilibria:
    """A block on a softer one, pressed and drawn; unknown are both stiffnesses. The coarse side looks."""
    size = np.array([30.0, 30.0, 15.0])
    parts = [bodies.box((4, 4, 1), size=tuple(size)), bodies.box((1, 1, 1), place=lambda u: u * size + [0, 0, 15.0])]
    count = len(parts[0].points)
    mesh = TetMesh(
        np.vstack([part.points for part in parts]),
        np.vstack([parts[0].tetrahedra, parts[1].tetrahedra + count]),
        np.concatenate([parts[0].region, parts[1].region + 1]).astype(np.int32),
        {1: "low", 2: "up"},
        facet_sets={
            f"{name}_{key}": value + shift
            for name, part, shift in (("low", parts[0], 0), ("up", parts[1], count))
            for key, value in part.facet_sets.items()
        },
    )
    model = Model.from_mesh(mesh, {"low": NeoHookean.from_young(5e3, 0.3), "up": NeoHookean.from_young(2e4, 0.4)})
    problem = model.problem(
        supports=[Fixed("low_z0")], prescribed=[Prescribed("up_z1", (0.0, 0.0, -1e-3))], contacts=[contact]
    )
    still = jnp.zeros(3)
    return Equilibria(Setting(problem, still, still, still), [RegionStiffness(("low", "up"))], tolerance=1e-12)


@pytest.mark.parametrize("kind", CONTACTS)
def test_slopes_of_equilibria_in_contact(kind: str) -> None:
    """Pairs and multipliers belong to the state: without them the slope would be that of a body in two pieces."""
    contact, step, exact = CONTACTS[kind]
    solved, at = equilibria(contact), np.array([0.1, -0.2])
    slope = solved.slope(at, solved.solve(at, None))
    for k in range(2):
        aside = step * np.eye(2)[k]
        ahead, behind = (np.asarray(solved.solve(at + sign * aside, None).rows) for sign in (1, -1))
        wanted = (ahead - behind) / (2 * step)
        assert np.abs(wanted).max() > 1e-5
        np.testing.assert_allclose(slope[:, :, k], wanted, atol=exact * np.abs(wanted).max())
