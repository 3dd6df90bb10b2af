"""Meshes of known shape for the engine's tests: those of the verification."""

from __future__ import annotations

from preop.engine.tissue.verification.meshes import box, bricks, mesh_for, sides

__all__ = ["box", "bricks", "mesh_for", "sides"]
