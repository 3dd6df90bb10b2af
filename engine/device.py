"""Choosing the device and the precision: called once by the command line, never at import."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..imaging.errors import SolverError


def select_device(name: str = "auto") -> str:
    """Enable float64 and make `auto`, `cpu` or `gpu` JAX's default device.

    Returns:
        The chosen device in words, such as "cpu" or "NVIDIA H100 80GB HBM3".

    Raises:
        SolverError: a GPU was asked for and JAX sees none.
    """
    if name not in ("auto", "cpu", "gpu"):
        raise SolverError(f"unknown device {name}", advice="Use auto, cpu or gpu")
    if name == "cpu":
        # Before the backends start: a GPU that is not wanted is not even opened. The option outdoes the variable.
        os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    jax.config.update("jax_enable_x64", True)
    gpus = [device for device in _devices() if device.platform in ("gpu", "cuda", "rocm")]
    if name == "gpu" and not gpus:
        raise SolverError(
            "no GPU that JAX can use",
            advice="In preop's folder run: make setup EXTRAS=viewer,xr,dev,gpu (where there is one); or --device cpu",
        )
    if name != "cpu" and gpus:
        jax.config.update("jax_default_device", gpus[0])
        return str(gpus[0].device_kind)
    jax.config.update("jax_default_device", _devices("cpu")[0])
    return "cpu"


def _devices(platform: str | None = None) -> Sequence[Any]:
    import jax

    try:
        return jax.devices(platform)
    except (RuntimeError, AssertionError) as error:
        # JAX asserts where a platform that JAX_PLATFORMS demands does not start.
        asked = os.environ.get("JAX_PLATFORMS")
        reason = " ".join(str(error).split())[:200].rstrip(".")
        if asked:
            what, advice = (
                f"JAX cannot start what JAX_PLATFORMS={asked} demands",
                "Unset JAX_PLATFORMS, or --device cpu",
            )
        else:
            what, advice = "JAX finds no device that starts", "`preop doctor` shows what this machine offers"
        raise SolverError(f"{what} ({reason})" if reason else what, where="device", advice=advice) from error
