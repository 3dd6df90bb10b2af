"""What holds for every energy density: stress-free at rest, exact tangents, symmetry, objectivity."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np

from ....imaging.progress import Progress
from ..materials import MATERIALS, Damage, Material, Mullins, Viscoelastic
from ..tensors import from_array
from .case import Case, Computed, Quantity
from .limits import Limit

AT_REST = "stress at F = I, no load"
STEP = float(np.finfo(float).eps ** (1 / 3))
SLOPE = Limit(
    1e3 * STEP**2, "central differences with a step of ε^(1/3): ε^(2/3) × the law's third derivative over its tangent, "
    "up to 1000 for exponential laws"
)  # fmt: skip
EXACT = Limit(1e-11, "round-off of double precision × 10⁴ operations and their cancellation")


def _gradients(count: int = 20) -> jnp.ndarray:
    """(3, 3, count): deformation gradients with stretches and shears up to a quarter."""
    spread = np.random.default_rng(3).uniform(-1, 1, (count, 3, 3))
    return jnp.asarray(np.moveaxis(np.eye(3) + 0.25 * spread, 0, -1))


def _used(name: str) -> Material:
    """A law that remembers, after a stretch and a turn and in a step of 50 ms: history is a constant of the step."""
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    before = jnp.asarray(turn @ np.diag([1.3, 0.85, 0.95]))[:, :, None]
    return MATERIALS[name].example().advanced(from_array(before)).stepped(0.05)


def _compute(name: str, used: bool, progress: Progress) -> Computed:
    law, gradient = _used(name) if used else MATERIALS[name].example(), _gradients()
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    rest = law.at(0.0).first_piola(jnp.eye(3)[:, :, None])
    # All states in one call: what is not compiled costs by the call.
    count = gradient.shape[-1]
    states = jnp.concatenate([gradient, jnp.einsum("ij,jke->ike", turn, gradient), _bumped(gradient)], axis=2)
    everywhere, energy = law.first_piola(states), law.energy_density(from_array(states))
    piola, turned, beside = everywhere[..., :count], everywhere[..., count : 2 * count], everywhere[..., 2 * count :]
    modulus, slope = law.elasticity(gradient), _differences(beside, count)
    work = jnp.reshape(_differences(energy[2 * count :][None, None], count), (3, 3, count))
    stress_scale, scale = float(jnp.abs(piola).max()), float(jnp.abs(modulus).max())
    kirchhoff = jnp.einsum("ike,jke->ije", piola, gradient)
    values = {
        "P against ΔW/ΔF": jnp.abs(work - piola).max() / stress_scale,
        "∂P/∂F against ΔP/ΔF": jnp.abs(slope - modulus).max() / scale,
        "major symmetry of ΔP/ΔF": jnp.abs(slope - jnp.transpose(slope, (2, 3, 0, 1, 4))).max() / scale,
        "P(QF) = Q P(F)": jnp.abs(turned - jnp.einsum("ij,jke->ike", turn, piola)).max() / stress_scale,
        "symmetry of P Fᵀ": jnp.abs(kirchhoff - jnp.swapaxes(kirchhoff, 0, 1)).max() / stress_scale,
        AT_REST: jnp.abs(rest).max() / stress_scale,
    }
    promised = _promised(name, used=used)
    return Computed({key: float(values[key]) for key in promised}, f"{count} deformation gradients, no mesh")


def _bumped(gradient: jnp.ndarray) -> jnp.ndarray:
    """(3, 3, 18 n): each of the nine entries moved up by a step, then each moved down."""
    moves = STEP * np.eye(9).reshape(9, 3, 3)
    return jnp.concatenate([gradient + sign * move[:, :, None] for sign in (1, -1) for move in moves], axis=2)


def _differences(values: jnp.ndarray, count: int) -> jnp.ndarray:
    """Central differences (i, j, 3, 3, n) of values (i, j, 18 n) at `_bumped` states."""
    up, down = jnp.split(values, 2, axis=2)
    return ((up - down) / (2 * STEP)).reshape(*values.shape[:2], 3, 3, count)


def _promised(name: str, *, used: bool = False) -> tuple[str, ...]:
    """What is checked of a law: the linear one is made for small rotations only; what flows is not free of stress."""
    left_out = () if getattr(MATERIALS[name], "objective", True) else ("P(QF) = Q P(F)", "symmetry of P Fᵀ")
    flows = used and name == Viscoelastic.name
    return tuple(what for what in _LIMITS if what not in left_out and not (flows and what == AT_REST))


_LIMITS = {
    "P against ΔW/ΔF": SLOPE,
    "∂P/∂F against ΔP/ΔF": SLOPE,
    "major symmetry of ΔP/ΔF": SLOPE,
    "P(QF) = Q P(F)": EXACT,
    "symmetry of P Fᵀ": EXACT,
    AT_REST: EXACT,
}


def _case(name: str, *, used: bool = False) -> Case:
    source = "the definition of hyperelasticity: P = ∂W/∂F, objectivity, a stress-free reference"
    return Case(
        f"law-{name}-used" if used else f"law-{name}",
        f"{source}; of the potential of a step, with a history" if used else source,
        tuple(Quantity(what, 0.0, _LIMITS[what], measure="absolute") for what in _promised(name, used=used)),
        partial(_compute, name, used),
        quick=True,
    )


CASES = (
    *(_case(name) for name in MATERIALS),
    *(_case(law.name, used=True) for law in (Viscoelastic, Mullins, Damage)),
)
