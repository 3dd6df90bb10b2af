"""Finite-strain tissue mechanics."""
