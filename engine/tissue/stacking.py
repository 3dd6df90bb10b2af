"""From a material per region to parameter arrays over elements, grouped by material class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ...meshing.mesh import HexMesh, TetMesh
from .elements.base import Element
from .located import first_bad, told
from .materials import Material, batch_last

MaterialStack = Iterator[tuple[NDArray[np.int64], Callable[[NDArray, NDArray], Material]]]
UNIT_TOLERANCE = 1e-6
"""How far from 1 the length of a direction may be."""


def stack_materials(
    materials: Mapping[str, Material], names: Mapping[int, str], mesh: TetMesh | HexMesh
) -> MaterialStack:
    """Group the regions by material class.

    Args:
        materials: region name (or `"*"`) → material. A parameter may be one value, one for each element of the mesh,
            or one for each of its quadrature points (E, Q); directions have a last axis of 3.
        names: label id → region name.
        mesh: what the elements are.

    Returns:
        For each class: the sorted label ids, and a function of (row in these ids, element index) that
        gives the material with one parameter value per element.

    Raises:
        SolverError: a region without a material, or a parameter out of range or of the wrong shape; where it is an
            array, only its values in the region count.
    """
    if not isinstance(materials, Mapping):
        advice = 'Give {region name: material}, or {"*": material} for all'
        raise SolverError(f"a {type(materials).__name__} names no regions", where="materials", advice=advice)
    chosen: dict[int, Material] = {}
    for label, name in names.items():
        material = materials.get(name, materials.get("*"))
        if material is None:
            raise SolverError(
                f"region {name!r} (label {label}) has no material",
                where="materials",
                advice=f"Give one for {name!r}, or '*' for all others; materials are given for {sorted(materials)}",
            )
        _check(material, name, np.flatnonzero(mesh.region == label), mesh)
        chosen[label] = material
    refuse_unknown("materials", materials, names)
    return _grouped(chosen)


def _check(material: Material, region: str, elements: NDArray, mesh: TetMesh | HexMesh) -> None:
    where = f"material of region {region!r}"
    if not isinstance(material, Material):
        name = material.__name__ if isinstance(material, type) else type(material).__name__
        advice = "Give a material of solids; a Sheet or Strand goes on it: model.with_sheet, model.with_strands"
        raise SolverError(f"{name} is no material of a solid", where=where, advice=advice)
    leaves, structure = jax.tree.flatten(material)
    shapes = parameter_shapes(material)
    count = len(mesh.cells)
    inside = []
    for leaf, (owner, name, trailing) in zip(leaves, shapes, strict=True):
        shape = np.shape(leaf)
        if not _fits(shape, count, trailing):
            raise SolverError(
                f"parameter {name!r} of {owner!r} has shape {shape}; {_wanted(count, trailing)}",
                where=where,
            )
        if np.asarray(leaf).dtype.kind not in "fiub":
            raise SolverError(f"parameter {name!r} of {owner!r} is no real number ({leaf!r})", where=where)
        values = np.asarray(leaf, float)
        inside.append(values if shape == trailing else values[elements])
        if trailing == (3,):
            check_direction(inside[-1], name, region, elements, mesh.points[mesh.cells[elements]].mean(axis=1))
    found = jax.tree.unflatten(structure, inside).problems()
    if found:
        row = first_bad(material, inside, [trailing for _, _, trailing in shapes])
        element = None if row is None else int(elements[row])
        centre = None if element is None else mesh.points[mesh.cells[element]].mean(axis=0)
        raise SolverError(told(found[0], element, centre), where=where)


def _fits(shape: tuple[int, ...], count: int, trailing: tuple[int, ...]) -> bool:
    per_point = len(shape) == len(trailing) + 2 and shape[0] == count and shape[2:] == trailing
    return shape in (trailing, (count, *trailing)) or per_point


def _wanted(count: int, trailing: tuple[int, ...]) -> str:
    one = "one value" if not trailing else f"one of shape {trailing}"
    many, points = (count, *trailing), ", ".join(["points", *map(str, trailing)])
    return f"give {one}, or one for each of {count} elements {many}, or of their quadrature points ({count}, {points})"


def parameter_shapes(material: Material) -> list[tuple[str, str, tuple[int, ...]]]:
    """Of each leaf of a material: whose parameter it is, its name, and its trailing shape (() for a scalar)."""
    found = []
    for path, _ in jax.tree_util.tree_flatten_with_path(material)[0]:
        owner, node, name = material, material, ""
        for key in path:
            if isinstance(key, jax.tree_util.GetAttrKey):
                owner, name = node, key.name
                node: Any = getattr(node, key.name)
                _refuse_loose_numbers(node, name, owner)
            else:
                node = node[key.idx]  # pyright: ignore[reportAttributeAccessIssue]
        found.append((owner.name, name, owner.vectors.get(name, ())))
    return found


def _refuse_loose_numbers(value: Any, name: str, owner: Any) -> None:
    """A list, or a direction as a tuple, would count as many parameters of one number each."""
    loose = isinstance(value, tuple) and name in owner.vectors and value and np.ndim(value[0]) == 0
    if isinstance(value, list) or loose:
        raise SolverError(
            f"{name} of {owner.name!r} is a {type(value).__name__}",
            where="material",
            advice="Give an array; a tuple only where the law has several terms",
        )


def check_direction(values: NDArray, name: str, region: str, elements: NDArray, centres: NDArray) -> None:
    """Vectors (3,), (E, 3) or (E, Q, 3) of elements with centres (E, 3) mm have the length 1.

    Raises:
        SolverError: one has not; its element and place.
    """
    length = np.linalg.norm(values, axis=-1)
    length = length.reshape(len(values), -1) if values.ndim > 1 else length.reshape(1, 1)
    wrong = ~(np.abs(length - 1.0) <= UNIT_TOLERANCE)
    if not wrong.any():
        return
    row, point = np.argwhere(wrong)[0]
    first, size = int(elements[row]), length[row, point]
    place = np.round(centres[row], 2)
    what = "is not finite" if not np.isfinite(size) else f"has length {size:.4g}, not 1"
    raise SolverError(
        f"{name} of element {first} at {place} mm {what}",
        where=f"material of region {region!r}",
        advice="Give unit vectors; one of zero length has no direction: look at where the field comes from",
    )


def refuse_unknown(what: str, given: Mapping[str, object], names: Mapping[int, str]) -> None:
    """A name that is no region is a slip of the pen.

    Raises:
        SolverError: a name that is neither a region nor `"*"`.
    """
    unknown = sorted(set(given) - set(names.values()) - {"*"})
    if unknown:
        raise SolverError(
            f"{what} are given for {unknown}, which the mesh does not have",
            where=what,
            advice=f"The mesh has the regions {sorted(names.values())}",
        )


def _grouped(chosen: Mapping[int, Material]) -> MaterialStack:
    kinds: dict[tuple, list[int]] = {}
    for label, material in chosen.items():
        kinds.setdefault((type(material), jax.tree.structure(material)), []).append(label)
    for labels in kinds.values():
        ordered = sorted(labels)
        yield np.array(ordered), _spread([chosen[label] for label in ordered])


def fitted(
    material: Material, element: Element, region: NDArray, names: Mapping[int, str], source: NDArray, centres: NDArray
) -> Material:
    """A stacked material (element first) as this element takes it: with room for its history.

    Args:
        region: label id of each of its elements.
        names: label id → region name.
        source, centres: number, and middle (E, 3) mm, of each.

    Raises:
        SolverError: it is incompressible and the element is not mixed; its volume has no stiffness and the element is
            mixed; it has values at other points than the element.
    """
    modulus = np.asarray(batch_last(material).volume_modulus, float).T
    stiff = np.flatnonzero(np.isinf(modulus).reshape(len(modulus), -1).any(axis=1)) if modulus.ndim else []
    if len(stiff) and not element.mixed:
        first = stiff[0]
        raise SolverError(
            f"element {source[first]} at {np.round(centres[first], 2)} mm is incompressible (Poisson's ratio 0.5),"
            f" which {element.name} cannot be",
            where=f"material of region {names[int(region[first])]!r}",
            advice="Give a Poisson's ratio below 0.5, say 0.45 to 0.49, or take a mixed element",
        )
    limp = np.flatnonzero((modulus <= 0).reshape(len(modulus), -1).any(axis=1)) if modulus.ndim else []
    if len(limp) and element.mixed:
        raise SolverError(
            f"the volume modulus is {float(modulus.min()):g} Pa, which leaves the pressure of"
            f" {element.name} undetermined",
            where=f"material of region {names[int(region[limp[0]])]!r}",
            advice="Give a Poisson's ratio above 0, or take a displacement element such as T10",
        )
    points = len(element.quadrature.weights)
    for leaf, (owner, name, trailing) in zip(jax.tree.leaves(material), parameter_shapes(material), strict=True):
        if leaf.ndim == len(trailing) + 2 and leaf.shape[1] not in (1, points):
            raise SolverError(
                f"parameter {name!r} of {owner!r} has values at {leaf.shape[1]} points per element",
                where=f"material of region {names[int(region[0])]!r}",
                advice=f"{element.name} has {points} quadrature points",
            )
    return material.prepared(points)


def _spread(group: list[Material]) -> Callable[[NDArray, NDArray], Material]:
    shapes = [shape for _, _, shape in parameter_shapes(group[0])]

    def per_element(row: NDArray, elements: NDArray) -> Material:
        leaves = [_leaf(shape, row, elements, *values) for shape, values in zip(shapes, columns, strict=True)]
        return jax.tree.unflatten(jax.tree.structure(group[0]), leaves)

    columns = list(zip(*(jax.tree.leaves(material) for material in group), strict=True))
    return per_element


def _leaf(trailing: tuple[int, ...], row: NDArray, elements: NDArray, *values: float | NDArray) -> jax.Array:
    """One parameter (E, ...) from its value in each region: constant, by element, or by quadrature point."""
    arrays = [np.asarray(value, float) for value in values]
    points = max((array.shape[1:2] for array in arrays if array.ndim == len(trailing) + 2), default=())
    spread = np.empty((len(row), *points, *trailing))
    for index, array in enumerate(arrays):
        mine = row == index
        part = array if array.ndim == len(trailing) else array[elements[mine]]
        spread[mine] = part[:, None] if points and array.ndim == len(trailing) + 1 else part
    return jax.device_put(spread)  # unlike `jnp.asarray`, compiles nothing for a new size
