"""Compiled programs kept on disk, so that the next start need not compile: JAX's cache, switched on by the caller."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path


def keep_compiled(folder: Path | None = None) -> Path | None:
    """Keep what JAX compiles in a folder, by kind of processor: code for one need not run on another.

    Args:
        folder: where; by default `PREOP_COMPILED`, or `preop/compiled` in the user's cache. `PREOP_COMPILED=off` keeps
            nothing. JAX's own setting (`JAX_COMPILATION_CACHE_DIR`) is left as it is.

    Returns:
        The folder in use; None where nothing is kept.
    """
    import jax

    asked = os.environ.get("PREOP_COMPILED", "")
    if folder is None and asked == "off":
        return None
    if folder is None and jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        return Path(jax.config.jax_compilation_cache_dir)  # pyright: ignore[reportAttributeAccessIssue]
    base = folder or (Path(asked) if asked else _user_cache() / "preop" / "compiled")
    place = base / _processor()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None  # a home that cannot be written to costs time, nothing else
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return place


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _processor() -> str:
    """A name for this kind of processor: what it is called and what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    told = {line.split(":")[0].strip(): line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return hashlib.sha256("\n".join([platform.machine(), platform.processor(), *told.values()]).encode()).hexdigest()[
        :16
    ]
