"""What deforms a truth from behind: pads that stick and move by a given way, or packs on which the organ slides."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from ..contact import RigidBody, RigidContact, Sphere
from ..prescribed import Prescribed
from ..supports import Springs

BED = 1e4
"""N/m³ of soft neighbours: 10 Pa per mm."""
WAY = 0.012
"""m that a push of size 1 goes at scale 1."""
APART = 0.05
"""m between places that are pushed, and to the patch that is held."""


class Skin(NamedTuple):
    """An organ's surface: facets (F, 3), their centres (F, 3) m and outward unit normals (F, 3)."""

    facets: Int[np.ndarray, "F 3"]
    centre: Float[np.ndarray, "F 3"]
    normal: Float[np.ndarray, "F 3"]

    @property
    def back(self) -> Int[np.ndarray, " n"]:
        """Facets that face away from the front, where neighbours lie."""
        return np.flatnonzero(self.normal[:, 1] > 0.3)

    @property
    def exposed(self) -> NDArray:
        """Whether each facet looks to the front (−y), where there is only gas."""
        return self.normal[:, 1] < -0.3

    def patch(self, place: NDArray, radius: float) -> Int[np.ndarray, " n"]:
        """Facets nearer than a radius [m]; the nearest one at least."""
        away = np.linalg.norm(self.centre - place, axis=1)
        chosen = np.flatnonzero(away < radius)
        return chosen if chosen.size else np.array([away.argmin()])


class Pushes(Protocol):
    """A kind of push, drawn by chance."""

    @classmethod
    def drawn(cls, skin: Skin, held: NDArray, draw: np.random.Generator) -> Pushes:
        """One to three of them at the back, away from the held patch."""
        ...

    def sets(self, skin: Skin) -> dict[str, NDArray]:
        """Facet sets that `acting` names."""
        ...

    def acting(self, scale: float) -> dict[str, Any]:
        """Arguments of `Model.problem` at a scale."""
        ...


class Pads(NamedTuple):
    """Patches that move by a prescribed way, stuck to what moves them; neighbours pull as well as push."""

    patches: list[NDArray]
    ways: list[NDArray]

    @classmethod
    def drawn(cls, skin: Skin, held: NDArray, draw: np.random.Generator) -> Pads:
        """Patches of 18 to 30 mm radius."""
        pads = cls([], [])
        for _ in range(int(draw.integers(1, 4))):
            for _ in range(50):
                place = skin.centre[draw.choice(skin.back)]
                chosen = skin.patch(place, draw.uniform(0.018, 0.03))
                if min(np.linalg.norm(skin.centre[one] - place, axis=1).min() for one in [held, *pads.patches]) > APART:
                    push = -skin.normal[chosen].mean(axis=0) + 0.3 * draw.standard_normal(3)
                    pads.patches.append(chosen)
                    pads.ways.append(WAY * push / np.linalg.norm(push) * draw.uniform(0.5, 1.0))
                    break
        return pads

    def sets(self, skin: Skin) -> dict[str, NDArray]:
        """A set per pad."""
        return {f"pad_{k}": skin.facets[patch] for k, patch in enumerate(self.patches)}

    def acting(self, scale: float) -> dict[str, Any]:
        """Prescribed displacements."""
        ways = [Prescribed(f"pad_{k}", (scale * way).tolist()) for k, way in enumerate(self.ways)]
        return {"prescribed": ways, "supports": [Springs("back", BED, 0.0)]}


class Packs(NamedTuple):
    """Round packs pushed in without friction: the organ slides and may leave them, and its neighbours only push."""

    centres: list[NDArray]
    radii: list[float]
    ways: list[NDArray]

    @classmethod
    def drawn(cls, skin: Skin, held: NDArray, draw: np.random.Generator) -> Packs:
        """Balls of 25 to 45 mm radius, which touch at the start."""
        packs, taken = cls([], [], []), [skin.centre[held]]
        for _ in range(int(draw.integers(1, 4))):
            for _ in range(50):
                facet = draw.choice(skin.back)
                place, outward = skin.centre[facet], skin.normal[facet]
                if min(np.linalg.norm(one - place, axis=1).min() for one in taken) > APART:
                    radius = float(draw.uniform(0.025, 0.045))
                    way = -outward + 0.3 * draw.standard_normal(3)
                    packs.centres.append(_touching(skin.centre, place, outward, radius))
                    packs.radii.append(radius)
                    packs.ways.append(WAY * way / np.linalg.norm(way) * draw.uniform(0.5, 1.0))
                    taken.append(place[None])
                    break
        return packs

    def sets(self, skin: Skin) -> dict[str, NDArray]:
        """None: all of the back may be touched."""
        return {}

    def acting(self, scale: float) -> dict[str, Any]:
        """Contacts with balls on their way."""
        balls = [
            RigidBody(Sphere(centre.tolist(), radius), (scale * way).tolist(), label=f"pack {k}")
            for k, (centre, radius, way) in enumerate(zip(self.centres, self.radii, self.ways, strict=True))
        ]
        bed = Springs("back", BED, 0.0, one_sided=True)
        return {"contacts": [RigidContact("back", ball) for ball in balls], "supports": [bed]}


PUSHES: dict[str, type[Pushes]] = {"pads": Pads, "packs": Packs}


def _touching(surface: NDArray, place: NDArray, outward: NDArray, radius: float) -> NDArray:
    """Centre of a ball on the line along the normal, as near as the surface lets it be [m]."""
    away = radius
    while np.linalg.norm(surface - (place + away * outward), axis=1).min() < radius - 1e-4 and away < 3.0 * radius:
        away += 1e-3
    return place + away * outward
