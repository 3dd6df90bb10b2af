"""Fitting a model to what was observed: what is unknown, what was seen, the best values, how sure they are.

    from preop.engine.tissue.fitting.displacements import NodeDisplacements
    from preop.engine.tissue.fitting.fit import fit
    from preop.engine.tissue.fitting.forces import Reaction
    from preop.engine.tissue.fitting.stiffness import RegionStiffness

    found = fit(
        problem,
        [RegionStiffness(("liver", "tumour"), spread=1.0)],
        [NodeDisplacements("surface", seen, noise=5e-4), Reaction("patch", (0.0, 0.0, 1.2), noise=0.05)],
    )
    found.estimates          # name, value, 68 and 95 % interval, share of its uncertainty that the data removed
    found.statement          # what the data cannot tell, in words
    found.problem            # the problem with the best values put in

Nothing is imported here: the modules above import jax. Theory: `docs/theory/fitting.md`.
"""
