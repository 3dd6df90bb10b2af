"""From a material per region to parameter arrays over elements, grouped by material class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from .materials import Material

MaterialStack = Iterator[tuple[NDArray[np.int64], Callable[[NDArray, NDArray], Material]]]


def stack_materials(materials: Mapping[str, Material], names: Mapping[int, str], elements: int) -> MaterialStack:
    """Group the regions by material class.

    Args:
        materials: region name (or `"*"`) → material; a parameter may be an array over all elements of the mesh.
        names: label id → region name.
        elements: how many elements the mesh has.

    Returns:
        For each class: the sorted label ids, and a function of (row in these ids, element index) that
        gives the material with one parameter value per element.

    Raises:
        SolverError: a region without a material, or a parameter out of range or of the wrong length.
    """
    chosen: dict[int, Material] = {}
    for label, name in names.items():
        material = materials.get(name, materials.get("*"))
        if material is None:
            raise SolverError(
                f"region {name!r} (label {label}) has no material",
                where="materials",
                advice=f"Give one for {name!r}, or '*' for all others; materials are given for {sorted(materials)}",
            )
        found = material.problems()
        wrong = [np.shape(v) for v in jax.tree.leaves(material) if np.shape(v) not in ((), (elements,))]
        if wrong:
            shape = f"shape {wrong[0]}; give one value, or one for each of {elements} elements"
            found = [*found, f"a parameter has {shape}"]
        if found:
            raise SolverError(found[0], where=f"material of region {name!r}")
        chosen[label] = material
    refuse_unknown("materials", materials, names)
    return _grouped(chosen)


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


def _spread(group: list[Material]) -> Callable[[NDArray, NDArray], Material]:
    def per_element(row: NDArray, elements: NDArray) -> Material:
        def leaf(*values: float | NDArray) -> jax.Array:
            spread = np.stack(
                [
                    np.broadcast_to(np.asarray(v, float), len(elements))
                    if np.ndim(v) == 0
                    else np.asarray(v, float)[elements]
                    for v in values
                ]
            )
            return jnp.asarray(spread[row, np.arange(len(row))])

        return jax.tree.map(leaf, *group)

    return per_element
