"""The bent silicone cylinder as a problem of fitting: meshes, measured points, what is not known and how far."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from round_bar import round_bar

LAYERS = 6
"""Along the axis, for each of the mesh's `fineness` in the section."""
LENGTH_ALIKE = 0.029
"""m over which errors go together: what E/ρ alone leaves on the coarsest mesh; all granted leaves 17 to 18 mm."""


class Row(NamedTuple):
    """One fit: element, Poisson's ratio (0.5: incompressible), fineness (rings, or half the cells of a core's side)."""

    element: str
    poisson: float
    fineness: int


def hanging(row: Row):
    """The cylinder clamped at z = 0 under its weight, E/ρ as guessed, all of its free surface in the set `skin`."""
    import equinox as eqx

    from preop.engine.tissue.loads import Gravity
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.supports import Fixed
    from preop.engine.tissue.verification import silicone
    from preop.engine.tissue.verification.meshes import curved, rod, round_rod

    law, density = NeoHookean.from_young(silicone.GUESS * silicone.DENSITY, row.poisson), silicone.DENSITY
    layers = LAYERS * row.fineness
    if row.element == "H8":
        mesh = round_bar(1e3 * silicone.RADIUS, 1e3 * silicone.LENGTH, 2 * row.fineness, 2 * layers)
        model = Model.from_mesh(mesh, {"*": law}, density=density, element="H8")
    else:
        simple = Model.from_mesh(rod(row.fineness, layers), {"*": law}, density=density, element=row.element)
        model = curved(simple, round_rod(silicone.RADIUS, silicone.LENGTH))
        skin = np.concatenate([model.facets_of("rim"), model.facets_of("z1")])
        model = eqx.tree_at(lambda m: m.facet_sets, model, {**model.facet_sets, "skin": skin})
    return model.problem(loads=[Gravity((0.0, -silicone.GRAVITY, 0.0))], supports=[Fixed("z0")])


def surface():
    """The measured points, their errors alike over `LENGTH_ALIKE`."""
    from preop.engine.tissue.fitting.surface import SurfacePoints
    from preop.engine.tissue.verification import silicone

    return SurfacePoints("skin", silicone.measured(), correlation=LENGTH_ALIKE)


def unknowns() -> list[tuple[str, list[Any]]]:
    """What is granted, in order, and how far: the sizes to their last digit, what nobody wrote down to 1 mm and 1°."""
    import equinox as eqx
    import jax.numpy as jnp

    from preop.engine.tissue.fitting.nuisance import Nuisance, poisson_ratio, pose
    from preop.engine.tissue.fitting.stiffness import RegionStiffness
    from preop.engine.tissue.verification import silicone

    def scaled(setting: Any, across: Any, along: Any) -> Any:
        points = setting.problem.model.points * jnp.stack([across, across, along])
        return eqx.tree_at(lambda s: s.problem.model.points, setting, points)

    def level(setting: Any, angle: Any) -> Any:
        pull = silicone.GRAVITY * jnp.stack([0.0 * angle, -jnp.cos(angle), jnp.sin(angle)])
        return eqx.tree_at(lambda s: s.problem.loads[0].acceleration, setting, pull)

    radius, length, half, degree = silicone.RADIUS, silicone.LENGTH, 5e-4, float(np.radians(1.0))
    sizes = [
        Nuisance("length", lambda s, v: scaled(s, 1.0, v / length), "m", between=(length - half, length + half)),
        Nuisance("radius", lambda s, v: scaled(s, v / radius, 1.0), "m", between=(radius - half, radius + half)),
    ]
    return [
        ("E/ρ alone", [RegionStiffness(("*",))]),
        ("ν from 0.45 to 0.5", [poisson_ratio(0.45, 0.5)]),
        ("length and radius ± 0.5 mm", sizes),
        ("frame of the scan, 1 mm and 1° about each axis", pose(1e-3, degree)),
        ("clamp level to 1°", [Nuisance("level of the clamp", level, "rad", mean=0.0, spread=degree)]),
    ]


def posed(chosen: list[Any], fineness: int, start: np.ndarray | None = None):
    """A fit of these unknowns with a mixed mesh; frames turn about the middle of the clamp."""
    import equinox as eqx
    import jax.numpy as jnp

    from preop.engine.tissue.fitting.fit import fit
    from preop.engine.tissue.fitting.setting import Setting

    setting = Setting.of(hanging(Row("T10P1", 0.49, fineness)))
    setting = eqx.tree_at(lambda s: s.pivot, setting, jnp.zeros(3))
    return fit(setting, chosen, [surface()], start=start, load_steps=8, tolerance=1e-7)


def stiffness(found) -> tuple[float, float, float]:
    """Lower end, value and upper end of E/ρ [m²/s²]."""
    from preop.engine.tissue.verification import silicone

    one = found.estimates[0]
    return tuple(silicone.GUESS * v for v in (one.interval_95[0], one.value, one.interval_95[1]))  # pyright: ignore[reportReturnType]


def end_point(setting, state) -> np.ndarray:
    """Where the middle of the free end is [m], in the frame of the scan."""
    import jax.numpy as jnp

    from preop.engine.tissue.fitting.location import locate

    model = setting.problem.model
    points = np.asarray(model.points)
    nodes, weights, _ = locate(model, np.array([[0.0, 0.0, points[:, 2].max() * (1 - 1e-6)]]), "end")
    moved = points + np.asarray(state.displacement)
    return np.asarray(setting.seen_from_model(jnp.asarray(np.einsum("nm,nmi->ni", weights, moved[nodes]))))[0]


def seen(found) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Height at rest [mm] of the places paired with the points, normals, and how far outside the points lie [mm]."""
    bound = surface().bind(found.setting, np.asarray(found.state.rows))
    rest = np.asarray(found.problem.model.points)[np.asarray(bound.nodes)]
    height = np.einsum("nm,nmi->ni", np.asarray(bound.weights), rest)[:, 2]
    return 1e3 * height, np.asarray(bound.normal), -1e3 * found.residuals[0]
