"""Finite-strain tissue mechanics: quasi-static, quadratic or linear tetrahedra, any energy density.

    import jax
    jax.config.update("jax_enable_x64", True)
    from preop.engine.tissue.fields import reaction, region_displacement, von_mises_stress
    from preop.engine.tissue.loads import Gravity, Pressure
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.prescribed import Grasp
    from preop.engine.tissue.static import solve
    from preop.engine.tissue.supports import Fixed, Ligament, Springs

    model = Model.from_mesh(mesh, {"liver": NeoHookean.from_young(5e3, 0.45), "*": NeoHookean.from_young(5e4, 0.45)},
                            density={"*": 1060.0}, element="T4")
    problem = model.problem(
        loads=[Gravity((0.0, 9.80665, 0.0), during=(0.0, 0.3))],
        supports=[Fixed("vena_cava"), Springs("diaphragm", 1e5), Ligament("edge", 500.0, anchor=(0.0, -0.1, 0.0))],
        prescribed=[Grasp("patch", path=[(0.0, -0.02, 0.0), (0.0, -0.04, 0.01)], during=(0.3, 1.0))],
    )
    solution = solve(problem, load_steps=10, progress=progress)
    state = solution.final                                # raises SolverError where the solve did not converge
    displacement = state.displacement[: model.mesh_nodes]  # (nodes of the mesh, 3) m
    force = reaction(problem, state, "patch")              # (3,) N, what the grasper puts on the body

Nothing is imported here: the modules above import jax.
"""
