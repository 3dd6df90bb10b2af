"""`Part`: elements of one kind, and how parts become the blocks of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from .block import ElementBlock
from .densities import DEFAULT_DENSITY, checked_density
from .elements import element_named
from .elements.base import Element
from .elements.shell import Shell6
from .located import first_bad, told
from .materials import Material, Sheet, Strand
from .materials.shell import ShellSection
from .pressure_rows import pressure_rows
from .shell_edges import shell_patches
from .stacking import check_direction, fitted


@dataclass(frozen=True, eq=False)
class Part:
    """Elements of one kind and one material.

    Attributes:
        element: name of the element, such as `"H8"`.
        nodes: (E, n) nodes of each element; of a shell its six.
        material: a solid's material, a `Sheet` or a `Strand`; a parameter may be an array over the part's elements.
        density: kg/m³.
        region: name of the region the elements belong to.
        clamped: of a shell, nodes: edges of its rim between two of them keep their slope (built in, or in a plane of
            symmetry that the shell meets at a right angle).
    """

    element: str
    nodes: NDArray
    material: Material | Sheet | Strand
    density: float = DEFAULT_DENSITY
    region: str = "body"
    clamped: NDArray | Sequence[int] | None = None


def blocks_of(
    points: NDArray[np.float64], parts: Sequence[Part], labels: Mapping[str, int], first: int = 0
) -> tuple[ElementBlock, ...]:
    """The blocks of parts over points (N, 3) m; `first` is the number of their first element.

    Raises:
        SolverError: a node that is not there, a wrong number of nodes, a bad parameter, or an element that is
            inverted or has no size at rest.
    """
    blocks = []
    for part in parts:
        kind, where = element_named(part.element), f"part {part.region!r}"
        nodes = _checked_nodes(part.nodes, kind, len(points), where)
        centres = 1e3 * points[nodes].mean(axis=1)
        material: Any = per_element(part.material, centres, where, first)
        check_fit(kind, material, where)
        _check_directions(material, part.region, centres, first)
        _check_section(material, points, where)
        if kind.dimension == 3:
            material = fitted(
                material, kind, np.zeros(len(nodes), int), {0: part.region}, first + np.arange(len(nodes)), centres
            )
        if isinstance(kind, Shell6):
            nodes, edges = shell_patches(nodes, None if part.clamped is None else np.asarray(part.clamped), points)
            material = ShellSection.of(material, edges)
        if kind.dimension < 3:
            material = material.prepared(kind.material_points)
        region = np.full(len(nodes), labels[part.region], np.int32)
        check_rest(points, nodes, kind, first)
        blocks.append(
            ElementBlock(
                element=kind,
                nodes=jnp.asarray(nodes),
                material=material,
                density=jnp.full(len(nodes), checked_density(part.density, part.region)),
                region=jnp.asarray(region),
                source=jnp.arange(first, first + len(nodes), dtype=jnp.int32),
            )
        )
        first += len(nodes)
    return tuple(blocks)


def with_pressures(blocks: tuple[ElementBlock, ...], nodes: int) -> tuple[tuple[ElementBlock, ...], NDArray[np.int64]]:
    """The blocks, mixed ones with the rows of their pressures after `nodes`, and the node at which each of these is."""
    corners = [np.asarray(block.nodes)[:, : block.element.pressures] for block in blocks]
    region = [np.repeat(np.asarray(block.region), one.shape[1]) for block, one in zip(blocks, corners, strict=True)]
    flat = np.concatenate([one.reshape(-1, 1) for one in corners])
    places, rows = pressure_rows(flat, np.concatenate(region), nodes, nodes)
    own = np.split(rows, np.cumsum([one.size for one in corners])[:-1])
    completed = [
        replace(block, nodes=jnp.concatenate([block.nodes, jnp.asarray(row.reshape(one.shape))], axis=1))
        for block, one, row in zip(blocks, corners, own, strict=True)
    ]
    return tuple(completed), places


def _checked_nodes(nodes: NDArray, kind: Element, count: int, where: str) -> NDArray[np.int32]:
    nodes = np.asarray(nodes)
    if nodes.dtype.kind not in "iu":
        raise SolverError(f"nodes of type {nodes.dtype} are no indices", where=where, advice="Give whole numbers")
    if nodes.ndim != 2 or nodes.shape[1] != kind.own_nodes or len(nodes) == 0:
        raise SolverError(f"elements {kind.name} have {kind.own_nodes} nodes each, not {nodes.shape}", where=where)
    if nodes.min() < 0 or nodes.max() >= count:
        outside = int(nodes.min() if nodes.min() < 0 else nodes.max())
        raise SolverError(f"node {outside} is not among {count} nodes", where=where)
    return nodes.astype(np.int32)


def per_element(material: Any, centres: NDArray, where: str, first: int = 0) -> Any:
    """The material with one value of every parameter for each element.

    Args:
        centres: (E, 3) mm.
        first: number of the first element.

    Raises:
        SolverError: a parameter out of range (its element and place) or of the wrong shape.
    """
    count = len(centres)
    if not isinstance(material, (Material, Sheet, Strand)):
        name = material.__name__ if isinstance(material, type) else type(material).__name__
        raise SolverError(f"{name} is no material", where=where, advice="Give a material, a Sheet or a Strand")
    if any(np.asarray(leaf).dtype.kind not in "fiub" for leaf in jax.tree.leaves(material)):
        raise SolverError(f"a parameter of {type(material).__name__} is no real number", where=where)
    found = material.problems()
    if found:
        shapes = [_trailing(material, path) for path, _ in jax.tree_util.tree_flatten_with_path(material)[0]]
        row = first_bad(material, [np.asarray(leaf, float) for leaf in jax.tree.leaves(material)], shapes)
        element, centre = (first + row, centres[row]) if row is not None and row < count else (None, None)
        raise SolverError(told(found[0], element, centre), where=where)

    def spread(path: tuple, leaf: Any) -> jax.Array:
        values, trailing = np.asarray(leaf, float), _trailing(material, path)
        if values.shape == trailing:
            return jnp.asarray(np.broadcast_to(values, (count, *trailing)))
        if values.shape[:1] != (count,) or values.shape[values.ndim - len(trailing) :] != trailing:
            raise SolverError(
                f"parameter {jax.tree_util.keystr(path)} has shape {values.shape}",
                where=where,
                advice=f"Give {trailing or 'one value'}, or one for each of {count} elements",
            )
        return jnp.asarray(values)

    return jax.tree_util.tree_map_with_path(spread, material)


def _check_directions(material: Any, region: str, centres: NDArray, first: int) -> None:
    """Fibres of a solid, or of what a sheet or strand is made of, are unit vectors; centres (E, 3) mm."""
    for path, leaf in jax.tree_util.tree_flatten_with_path(material)[0]:
        if _trailing(material, path) == (3,):
            name = str(getattr(path[-1], "name", "direction"))
            check_direction(np.asarray(leaf), name, region, first + np.arange(len(centres)), centres)


def _check_section(material: Any, points: NDArray[np.float64], where: str) -> None:
    """A sheet is thinner, and a strand slimmer, than the body is long: else mm were given where m are meant."""
    size = float(np.ptp(points, axis=0).max())
    if isinstance(material, Sheet) and float(jnp.max(material.thickness)) > size:
        raise SolverError(
            f"a sheet {float(jnp.max(material.thickness)):g} m thick on a body of {size:.3g} m",
            where=where,
            advice="Give the thickness in m, not mm",
        )
    if isinstance(material, Strand) and float(jnp.max(material.area)) > size**2:
        raise SolverError(
            f"a strand of {float(jnp.max(material.area)):g} m² on a body of {size:.3g} m",
            where=where,
            advice="Give the area in m², not mm²",
        )


def _trailing(material: Any, path: tuple) -> tuple[int, ...]:
    """The shape of one value of the parameter at a path: () unless its owner lists it in `vectors`."""
    shape: tuple[int, ...] = ()
    for key in path:
        if isinstance(key, jax.tree_util.GetAttrKey):
            shape = getattr(material, "vectors", {}).get(key.name, ())
            material = getattr(material, key.name)
        else:
            material = material[key.idx]
    return shape


def check_fit(kind: Element, material: Any, where: str) -> None:
    """A sheet is made of a `Sheet`, a strand of a `Strand`, a solid of neither.

    Raises:
        SolverError: it is not.
    """
    wanted = getattr(material, "dimension", 3)
    if wanted != kind.dimension:
        name = {1: "a Strand", 2: "a Sheet", 3: "the material of a solid"}
        raise SolverError(
            f"element {kind.name} needs {name[kind.dimension]}, not {type(material).__name__}",
            where=where,
            advice="Wrap the material: Sheet(material, thickness) or Strand(...)",
        )


def check_rest(points: NDArray[np.float64], nodes: NDArray, kind: Element, first: int) -> None:
    """Every element has a positive size at each point of its rule.

    Raises:
        SolverError: one has not; its number and where it lies.
    """
    smallest = np.full(len(nodes), np.inf)
    for start in range(0, len(nodes), 65536):
        rows = slice(start, start + 65536)
        weight = np.asarray(kind.geometry(jnp.asarray(points[nodes[rows]]), kind.quadrature)[1])
        size = np.abs(np.ptp(points[nodes[rows, : kind.own_nodes]], axis=1)).max(axis=1) ** kind.dimension
        smallest[rows] = np.nan_to_num(weight, nan=-1.0).min(axis=0) / np.maximum(size, 1e-300)
    bad = np.flatnonzero(~(smallest > 1e-12))
    if bad.size:
        at = np.round(1e3 * points[nodes[bad[0], : kind.own_nodes]].mean(axis=0), 3)
        manner = "is turned inside out" if smallest[bad[0]] < -1e-12 else "has no size"
        raise SolverError(
            f"element {first + bad[0]} ({kind.name}) at {at} mm {manner}; {bad.size} elements are like it",
            where="model",
            advice="Check the order of its nodes, whether two of them coincide, and the mesh there",
        )
