"""The planner's solvers run in 64-bit floats; no import here flips the flag, the caller does."""

from __future__ import annotations

import jax

from ..imaging.errors import SolverError


def require_float64() -> None:
    """Refuse to compute in 32-bit floats.

    Raises:
        SolverError: JAX's 64-bit mode is off.
    """
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise SolverError(
            "JAX computes in 32-bit floats, too few digits for this solver",
            where="jax_enable_x64",
            advice="Call jax.config.update('jax_enable_x64', True) before building a model",
        )
