"""A body on another reference shape, its fibres carried along: a line of tissue stays the line that was seen.

With tangents T = ∂x/∂ξ of an element in the shape that is given and T′ in the other, a direction f becomes T′ T⁺ f,
made a unit vector; T⁺ = (TᵀT)⁻¹Tᵀ serves solids and sheets. Of a frame of fibre and sheet the plane is carried too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .block import ElementBlock
from .elements.base import Element
from .problem import Problem

Placing = Callable[[Problem, Any], Problem]
"""Of a problem and reference positions (nodes, 3) m: the problem there."""


def moved_to(problem: Problem, points: Any) -> Problem:
    """The problem on other reference positions (nodes, 3) m, every number of its elements as it is."""
    return eqx.tree_at(lambda p: p.model.points, problem, jnp.asarray(points))


def carried_to(problem: Problem, points: Any) -> Problem:
    """The problem on other reference positions (nodes, 3) m, the fibres of its elements carried with the tissue.

    Directions become (E, Q, 3), one at each quadrature point. Tensors of residual strain stay as they are.
    """
    moved = moved_to(problem, points)
    before, after = problem.model.points, moved.model.points
    laws = [_carried(block, _tangents(block, before), _tangents(block, after)) for block in problem.model.blocks]
    return eqx.tree_at(lambda p: [block.material for block in p.model.blocks], moved, laws)


def has_fibers(problem: Problem) -> bool:
    """Whether any material has directions."""
    return any(_lines(block.material) for block in problem.model.blocks)


def turned(law: Any, gradient: Float[Array, "E Q 3 3"]) -> Any:
    """A material with its directions mapped by a gradient at each quadrature point, as unit vectors."""
    return _mapped(law, lambda unit: jnp.einsum("eqij,eqj->eqi", gradient, unit))


def _carried(block: ElementBlock, before: Array, after: Array) -> Any:
    """The block's material, tangents (E, Q, 3, d) before and after given."""

    def along(unit: Array) -> Array:
        metric = jnp.einsum("eqik,eqil->eqkl", before, before)
        share = jnp.linalg.solve(metric, jnp.einsum("eqik,eqi->eqk", before, unit)[..., None])
        return (after @ share)[..., 0]

    return _mapped(block.material, along)


def _tangents(block: ElementBlock, points: Any) -> Float[Array, "E Q 3 d"]:
    element: Element = block.element
    slopes = jnp.asarray(element.gradient(element.quadrature.points))
    return jnp.einsum("eai,qad->eqid", points[block.vertices[:, : slopes.shape[1]]], slopes)


def _mapped(law: Any, along: Callable[[Array], Array]) -> Any:
    """The material, and what it is made of, with each direction mapped; frames stay at right angles."""
    for name in ("base", "law", "sheet"):
        inner = getattr(law, name, None)
        if isinstance(inner, eqx.Module):
            law = eqx.tree_at(lambda m, n=name: getattr(m, n), law, _mapped(inner, along))
    for frame in getattr(law, "frames", ()):
        found: list[Array] = []
        for name in frame:
            before = _at_points(getattr(law, name))
            way = along(before)
            for unit in found:
                way = way - jnp.sum(way * unit, axis=-1, keepdims=True) * unit
            length = jnp.linalg.norm(way, axis=-1, keepdims=True)
            # A direction across a sheet has no line of tissue to follow.
            found.append(jnp.where(length > 1e-9, way / jnp.where(length > 1e-9, length, 1.0), before))
        law = eqx.tree_at(lambda m, f=frame: [getattr(m, name) for name in f], law, found)
    return law


def _at_points(direction: Any) -> Float[Array, "E Q 3"]:
    unit = jnp.asarray(direction)
    return unit if unit.ndim == 3 else unit[:, None, :]


def _lines(law: Any) -> bool:
    parts = (getattr(law, name, None) for name in ("base", "law", "sheet"))
    inner = [part for part in parts if isinstance(part, eqx.Module)]
    return bool(getattr(law, "frames", ())) or any(_lines(part) for part in inner)
