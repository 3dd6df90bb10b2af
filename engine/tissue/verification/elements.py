"""What holds for every solid element: the patch test, rigid motion, and the orders of convergence."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ....imaging.progress import Progress, part
from .. import fields
from ..elements import ELEMENTS
from ..elements.tet10 import DEGREE_5
from ..loads import BodyForce
from ..materials import NeoHookean
from ..model import Model
from ..prescribed import Grasp, Prescribed
from ..solution import State
from ..static import solve
from .case import Case, Computed, Quantity
from .limits import Limit, round_off
from .meshes import mesh_for
from .probes import describe

LAW = NeoHookean.from_young(1e4, 0.4)
GRADIENT = np.array([[0.10, 0.05, -0.04], [0.02, -0.08, 0.06], [-0.03, 0.07, 0.12]])
COARSE = {1: 4, 2: 3}
"""Cells along the coarser cube, by the element's order; the finer one has twice as many."""


def _patch(element: str, progress: Progress) -> Computed:
    body = Model.from_mesh(mesh_for(element, (2, 2, 2), jitter=0.25), {"*": LAW}, element=element)
    linear = body.problem(prescribed=[Prescribed("x0", _linear), *_others(_linear)])
    state = solve(linear, tolerance=1e-12, progress=part(progress, 0.0, 0.5)).final
    exact = np.asarray(body.points)[: body.nodes] @ GRADIENT.T
    stress = fields.cauchy_stress(body, state)
    turned = body.problem(prescribed=[Grasp("boundary", (0.1, 0.2, -0.1), rotation=(0.9, -1.1, 0.4))])
    rigid = solve(turned, progress=part(progress, 0.5, 1.0)).final
    values = {
        "displacement of a linear field": np.abs(np.asarray(state.displacement) - exact).max() / np.abs(exact).max(),
        "spread of the constant stress": np.ptp(stress, axis=0).max() / np.abs(stress).max(),
        "nodal forces of a rigid motion": np.abs(fields.reaction_forces(turned, rigid)[: body.nodes]).max() / 1e4,
    }
    return Computed({key: float(value) for key, value in values.items()}, describe(linear))


def _linear(points: Array) -> Array:
    return points @ GRADIENT.T


def _others(field) -> list[Prescribed]:
    return [Prescribed(side, field) for side in ("x1", "y0", "y1", "z0", "z1")]


def manufactured(point: Array) -> Array:
    """A smooth displacement [m] of the unit cube (3,), with strains of some per cent."""
    x, y, z = point
    return 0.05 * jnp.stack([jnp.sin(2 * y) * jnp.cos(z), jnp.sin(1.5 * x + z), jnp.cos(2 * x) * jnp.sin(y + z)])


def body_force(point: Array) -> Array:
    """b = −Div P [N/m³] of the manufactured displacement."""

    def stress(place: Array) -> Array:
        gradient = jnp.eye(3) + jax.jacfwd(manufactured)(place)
        return LAW.first_piola(gradient[:, :, None])[:, :, 0]

    return -jnp.einsum("ijj->i", jax.jacfwd(stress)(point))


def _orders(element: str, progress: Progress) -> Computed:
    counts, errors, mesh = _counts(element), [], []
    for index, count in enumerate(counts):
        body = Model.from_mesh(mesh_for(element, (count, count, count)), {"*": LAW}, element=element)
        field = jax.vmap(manufactured)
        sides = [Prescribed(side, field) for side in ("x0", "x1", "y0", "y1", "z0", "z1")]
        posed = body.problem(loads=[BodyForce(body_force)], prescribed=sides)
        state = solve(posed, tolerance=1e-9, progress=part(progress, 0.5 * index, 0.5 * index + 0.5)).final
        errors.append(_errors(body, state))
        mesh.append(describe(posed))
    orders = np.log2(np.array(errors[0]) / np.array(errors[1]))
    return Computed({"order of u in L²": float(orders[0]), "order of ∇u in L²": float(orders[1])}, " and ".join(mesh))


def _errors(body: Model, state: State) -> tuple[float, float]:
    """‖u − u*‖ and ‖∇u − ∇u*‖ over the cube."""
    block = body.blocks[0]
    element, nodes = block.element, np.asarray(block.nodes)[:, : block.element.nodes]
    shape = jnp.asarray(element.shape(DEGREE_5.points))
    reference, moved = body.points[nodes], jnp.asarray(state.displacement)[nodes]
    gradient, weight = element.geometry(reference, DEGREE_5)
    place = jnp.einsum("qa,eai->eqi", shape, reference)
    miss = jnp.einsum("qa,eai->eqi", shape, moved) - jax.vmap(jax.vmap(manufactured))(place)
    slope = jnp.einsum("ajqe,eai->eqij", gradient, moved) - jax.vmap(jax.vmap(jax.jacfwd(manufactured)))(place)
    norms = [float(jnp.sqrt(jnp.einsum("eq...,eq...,qe->", m, m, weight))) for m in (miss, slope)]
    return norms[0], norms[1]


def _counts(element: str) -> tuple[int, int]:
    coarse = COARSE[ELEMENTS[element].order]
    return coarse, 2 * coarse


def _order_case(element: str) -> Case:
    order, coarse = ELEMENTS[element].order, _counts(element)[0]
    limit = Limit(float(np.log2(1 + 1 / coarse)), "log₂(1 + h/L): the next term of the error on the coarser mesh")
    wanted = {"order of u in L²": order + 1, "order of ∇u in L²": order}
    return Case(
        f"element-{element}-order",
        "a manufactured displacement and its body force −Div P; orders of the a priori estimate (Ciarlet, chapter 3)",
        tuple(Quantity(name, float(value), limit, measure="at least") for name, value in wanted.items()),
        partial(_orders, element),
        quick=order == 1,
    )


_PATCH = round_off(1e-9, "every element holds a linear field exactly: the solver's tolerance times 1000")
CASES = (
    *(
        Case(
            f"element-{element}-patch",
            "the patch test (Irons 1966) on a distorted mesh, and a large rigid rotation",
            tuple(
                Quantity(name, 0.0, _PATCH, measure="absolute")
                for name in (
                    "displacement of a linear field", "spread of the constant stress", "nodal forces of a rigid motion",
                )
            ),
            partial(_patch, element),
            quick=True,
        )
        for element in ELEMENTS
    ),
    *(_order_case(element) for element in ELEMENTS),
)  # fmt: skip
