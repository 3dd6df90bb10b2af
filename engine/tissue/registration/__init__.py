"""Preoperative to intraoperative: a model laid on a sparse, partly seen, deformed surface.

    from preop.engine.tissue.registration.register import register

    found = register(model, points, surface="surface", progress=progress)   # points (n, 3) m, in the theatre's frame
    where, covariance = found.targets(tumours)      # (k, 3) m in the theatre's frame, (k, 3, 3) m²
    found.statement, found.noise, found.visible_share

Nothing is imported here: the modules above import jax. Theory: `docs/theory/registration.md`.
"""
