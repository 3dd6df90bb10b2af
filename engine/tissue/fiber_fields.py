"""Stretch and stress along the fibres of a solution, and values at places of the reference shape.

Element values are volume averages over the quadrature points, as those of `fields`; NaN where an element's material has
no such fibre. A strand is itself a fibre: its stretch and tension are not told here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from .elements.base import Element
from .fields import by_element, mean_of, to_nodes
from .history import remembered_model
from .materials import Material
from .model import Model
from .solution import State

INNER = ("base", "law", "sheet")
"""Where a material keeps what it is made of."""


def fiber_names(model: Model) -> tuple[str, ...]:
    """Names of the directions of the model's materials, each once: `fiber`, `first_fiber`, `sheet`, `base.fiber` …"""
    found = (name for block in model.blocks for name in _directions(block.material))
    return tuple(dict.fromkeys(found))


def fiber_stretch(model: Model, state: State, name: str | None = None) -> Float[np.ndarray, " elements"]:
    """λ = |F f|, above 1 where the fibre is longer than at rest.

    Args:
        model: the model.
        state: of its solution.
        name: of `fiber_names`; the first without one.

    Raises:
        SolverError: no material has such a fibre.
    """
    return _measured(model, state, name, _stretch, ())


def fiber_stress(model: Model, state: State, name: str | None = None) -> Float[np.ndarray, " elements"]:
    """a · σ a [Pa], a = F f / |F f| the fibre as it lies in the loaded body; tension positive.

    Arguments and errors are those of `fiber_stretch`; materials that remember need a state with its history.
    """
    return _measured(remembered_model(model, state), state, name, _stress, ())


def fiber_direction(model: Model, state: State, name: str | None = None) -> Float[np.ndarray, "elements 3"]:
    """The fibre in the loaded body, a unit vector, LPS: the mean of F f over the element. Else as `fiber_stretch`."""
    mean = _measured(model, state, name, _carried, (3,))
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def at_points(model: Model, values: NDArray, points: Any) -> Float[np.ndarray, "points ..."]:
    """Values of nodes (nodes, ...) or elements (elements, ...) at places in the body.

    Nodal values follow the shape functions; element values are first averaged to the nodes (`fields.to_nodes`), so that
    they are continuous, and smoothed where materials meet; elements of NaN count for nothing there. Where both numbers
    agree they are taken for nodal values.

    Args:
        model: the model.
        values: in any unit.
        points: (n, 3) m at rest; up to a twentieth of an element outside counts as on the surface.

    Raises:
        SolverError: a point lies outside of the body, or there are neither as many values as nodes nor as elements.
    """
    from .fitting.location import locate

    values, places = np.asarray(values, float), np.atleast_2d(np.asarray(points, float))
    elements = sum(len(block.nodes) for block in model.blocks)
    count = len(values) if values.ndim else 0
    if count not in (model.nodes, elements):
        raise SolverError(
            f"values of shape {values.shape} are neither for {model.nodes} nodes nor for {elements} elements",
            where="at_points",
            advice="Give a value for each node or for each element",
        )
    nodal = values if count == model.nodes else to_nodes(model, values)
    if places.shape[1:] != (3,) or not np.isfinite(places).all():
        raise SolverError(f"points of shape {places.shape} are no places", where="at_points", advice="Give (n, 3) in m")
    nodes, weights, _ = locate(model, places, "at_points")
    return np.einsum("pm,pm...->p...", weights, nodal[nodes])


def _measured(model: Model, state: State, name: str | None, measure: Any, shape: tuple[int, ...]) -> NDArray:
    known = fiber_names(model)
    if not known or (name is not None and name not in known):
        what = "no material has fibres" if not known else f"no material has a direction {name!r}"
        advice = f"Choose from {list(known)}" if known else "Use a law with fibres, such as HolzapfelOgden"
        raise SolverError(what, where="fibres", advice=advice)
    return by_element(model, state, partial(_or_none, measure, name or known[0], shape), shape)


def _or_none(
    measure: Any,
    name: str,
    shape: tuple[int, ...],
    element: Element,
    material: Material,
    reference: Array,
    moved: Array,
) -> Array:
    unit = _directions(material).get(name)
    if unit is None:
        return jnp.full((*shape, len(reference)), jnp.nan)
    return measure(element, material, jnp.asarray(unit), reference, moved)


def _directions(law: Any) -> dict[str, Any]:
    """Directions (E, 3) or (E, Q, 3) of a law and of what it is made of, by name.

    An inner one whose name an outer one has is told by its path: `base.fiber` of an active law about Holzapfel–Ogden.
    """
    found: dict[str, Any] = {}
    for path, unit in _paths(law, ""):
        name = path.rsplit(".", 1)[-1]
        found[path if name in found else name] = unit
    return found


def _paths(law: Any, within: str) -> Iterator[tuple[str, Any]]:
    for frame in getattr(law, "frames", ()):
        yield from ((within + name, getattr(law, name)) for name in frame)
    for at in INNER:
        if isinstance(part := getattr(law, at, None), eqx.Module):
            yield from _paths(part, f"{within}{at}.")


def _lines(unit: Array, gradient: Array) -> Float[Array, "3 Q E"]:
    """F f at the points of elements (3, 3, Q, E)."""
    fiber = jnp.moveaxis(unit if unit.ndim == 3 else unit[:, None], (0, 1, 2), (2, 1, 0))
    return jnp.sum(gradient * fiber[None], axis=1)


@partial(jax.jit, static_argnums=0)
def _stretch(element: Element, material: Material, unit: Array, reference: Array, moved: Array) -> Array:
    at = element.point_fields(reference, moved, material)
    return mean_of(jnp.linalg.norm(_lines(unit, at.deformation_gradient), axis=0), at.weight)


@partial(jax.jit, static_argnums=0)
def _stress(element: Element, material: Material, unit: Array, reference: Array, moved: Array) -> Array:
    at = element.point_fields(reference, moved, material)
    line = _lines(unit, at.deformation_gradient)
    along = jnp.sum(at.cauchy * line[:, None] * line[None], axis=(0, 1)) / jnp.sum(line**2, axis=0)
    return mean_of(along, at.weight)


@partial(jax.jit, static_argnums=0)
def _carried(element: Element, material: Material, unit: Array, reference: Array, moved: Array) -> Array:
    at = element.point_fields(reference, moved, material)
    return mean_of(_lines(unit, at.deformation_gradient), at.weight)
