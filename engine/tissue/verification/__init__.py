"""Reference problems of tissue mechanics, computed by the solver and compared: `preop verify tissue`.

    from preop.engine.tissue.verification.registry import CASES
    from preop.engine.tissue.verification.run import verify

    for outcome in verify([case for case in CASES if case.quick]):
        print(outcome.case.name, outcome.passed)

One file per family of problems, one line in `registry.py`. Nothing is imported here: the modules above import jax.
"""
