"""Prints what JAX offers here as a line of JSON. Run in a process of its own by `preop doctor`."""

from __future__ import annotations

import json


def probe() -> dict[str, object]:
    """Versions, the default backend and every device that JAX sees.

    Raises:
        RuntimeError: JAX finds no backend that starts.
    """
    import jax
    import jaxlib

    return {
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "backend": jax.default_backend(),
        "devices": [{"platform": device.platform, "kind": device.device_kind} for device in jax.devices()],
    }


if __name__ == "__main__":
    print(json.dumps(probe()))
