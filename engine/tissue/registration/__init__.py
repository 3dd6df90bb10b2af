"""Preoperative to intraoperative: a model laid on a sparse, partly seen, deformed surface.

    from preop.engine.tissue.registration.outline import Outline
    from preop.engine.tissue.registration.register import register

    outline = Outline.carried_by(model, vertices, triangles)     # the organ as segmented, (V, 3) m
    found = register(model, points, outline=outline)             # points (n, 3) m, in the theatre's frame
    where, covariance = found.targets(tumours)                   # (k, 3) m in the theatre's frame, (k, 3, 3) m²
    found.statement, found.noise, found.visible_share

Nothing is imported here: the modules above import jax. Theory: `docs/theory/registration.md`.
"""
