"""Choosing the device and the precision: called once by the command line, never at import."""

from __future__ import annotations

import os

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
        # Before the backends start: a GPU that is not wanted is not even opened.
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", True)
    gpus = [device for device in jax.devices() if device.platform in ("gpu", "cuda", "rocm")]
    if name == "gpu" and not gpus:
        raise SolverError(
            "no GPU that JAX can use", advice="Install preop[gpu] on a machine with one, or use --device cpu"
        )
    if name != "cpu" and gpus:
        jax.config.update("jax_default_device", gpus[0])
        return str(gpus[0].device_kind)
    jax.config.update("jax_default_device", jax.devices("cpu")[0])
    return "cpu"
