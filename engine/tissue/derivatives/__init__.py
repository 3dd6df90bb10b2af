"""Derivatives of solutions by implicit differentiation: reverse, forward, second order, and through time.

    from preop.engine.tissue.derivatives.first import directional, gradient, gradients
    from preop.engine.tissue.derivatives.functionals import reaction, strain_energy
    from preop.engine.tissue.derivatives.linearization import Linearization
    from preop.engine.tissue.derivatives.parameters import direction_at
    from preop.engine.tissue.derivatives.second import gauss_newton_product, hessian_product

    state = solve(problem, tolerance=1e-12).final
    near = Linearization(problem, state)                       # one tangent, one multigrid hierarchy, many solves
    slope = gradient(lambda u, p: strain_energy(u, p), problem, state, linearization=near)
    slope.model.blocks[0].material.shear_modulus               # dJ/dμ of every element
    way = direction_at(problem, lambda p: p.loads[0].acceleration, [0.0, 0.1, 0.0])
    moved = directional(problem, state, way, linearization=near)            # du, (rows, 3) m

Step by step, with what the body remembers: `load_steps.LoadSteps` (slow) and `motion_steps.MotionSteps` (with inertia).
Nothing is imported here: the modules above import jax. Equations: `docs/theory/derivatives.md`.
"""
