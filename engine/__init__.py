"""All physics, in JAX. Needs only jax, its libraries, numpy, scipy and pyamg.

Nothing heavy is imported here: import the module you need.
"""
