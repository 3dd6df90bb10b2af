"""The engine computes in 64-bit floats; the caller switches them on."""

import jax

jax.config.update("jax_enable_x64", True)
