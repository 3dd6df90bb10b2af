"""Loads, supports, prescribed motion, gradients, orders of convergence and bad input."""

from __future__ import annotations

import bodies
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from preop.engine.tissue import fields
from preop.engine.tissue.elements import ELEMENTS
from preop.engine.tissue.elements.base import Quadrature
from preop.engine.tissue.implicit import gradient
from preop.engine.tissue.loads import BodyForce, Gravity, Pressure, Traction
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Grasp, Grip, Prescribed
from preop.engine.tissue.solution import ResultCode
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed, Ligament, PointSprings, Springs
from preop.engine.tissue.tissues import TISSUES
from preop.imaging.errors import SolverError

LAW = NeoHookean.from_young(1e4, 0.45)


def body(cells: int = 3, element: str = "T4", law: NeoHookean = LAW, size: float = 100.0) -> Model:
    return Model.from_mesh(
        bodies.mesh_for(element, (cells,) * 3, size=(size,) * 3), {"body": law}, density=1000.0, element=element
    )


@pytest.mark.parametrize("element", ELEMENTS)
def test_reactions_carry_the_weight(element: str) -> None:
    """ρ V g, and at every step of a grasp path the grasp and the base together carry it."""
    model = body(element=element)
    problem = model.problem(
        loads=[Gravity((0.0, 0.0, -9.81), during=(0.0, 0.25))],
        supports=[Fixed("z0")],
        prescribed=[Grasp("z1", [(0, 0, 0.005), (0.01, 0, 0.01)], rotation=(0, 0, 0.3), during=(0.25, 1.0))],
    )
    solution = solve(problem, load_steps=4)
    assert [state.load_fraction for state in solution.states] == [0.25, 0.5, 0.75, 1.0]
    for state in solution.require_converged().states:
        total = fields.reaction(problem, state, "z0") + fields.reaction(problem, state, "z1")
        assert total == pytest.approx([0, 0, 1000.0 * 1e-3 * 9.81], abs=1e-5)


def test_bar_on_springs() -> None:
    """A bed of k carries a traction t with t/k at its surface; a free bar moves with it."""
    model = body()
    bed, pull = 2e5, (50.0, -20.0, 100.0)
    problem = model.problem(loads=[Traction("z0", pull)], supports=[Springs("z0", bed)])
    moved = np.asarray(solve(problem, tolerance=1e-10).final.displacement)
    assert moved == pytest.approx(np.broadcast_to(np.array(pull) / bed, moved.shape), rel=1e-6)
    sliding = model.problem(loads=[Traction("z0", pull)], supports=[Springs("z0", bed, tangential=1e4)])
    moved = np.asarray(solve(sliding, tolerance=1e-10).final.displacement)[model.nodes_of("z0")].mean(axis=0)
    assert moved == pytest.approx([50 / 1e4, -20 / 1e4, 100 / bed], rel=0.02)


def test_one_sided_bed_pushes_and_never_pulls() -> None:
    """Pressed, a bed of k gives way by t/k + w/2; pulled, it lets go and the ligament alone carries the load."""
    model = body()
    bed, onset, pull = 2e5, 4e-4, 200.0
    pressed = model.problem(
        loads=[Traction("z0", (0, 0, -pull))],
        supports=[Springs("z0", bed, one_sided=True, onset=onset), PointSprings("all", 1e-6)],
    )
    moved = np.asarray(solve(pressed, tolerance=1e-10).final.displacement)[model.nodes_of("z0"), 2]
    assert moved == pytest.approx(np.full(len(moved), -pull / bed - onset / 2), rel=1e-4)
    ligament, area = 50.0, 0.01
    pulled = model.problem(
        loads=[Traction("z0", (0, 0, pull))],
        supports=[Springs("z0", bed, one_sided=True, onset=onset), PointSprings("all", ligament)],
    )
    moved = np.asarray(solve(pulled, tolerance=1e-10).final.displacement)
    assert moved[:, 2].mean() == pytest.approx(pull * area / ligament, rel=1e-9)
    assert np.abs(moved[:, :2]).max() < 1e-2 * moved[:, 2].mean()


def test_one_sided_bed_is_differentiable_and_slides() -> None:
    """The tangent of a group is the derivative of its force on both sides of the onset, and there is no drag."""
    model = body()
    term = Springs("z0", 3e5, one_sided=True, onset=1e-3).bind(model)[0]
    reference = model.points[term.nodes]
    for depth in (-1e-3, 3e-4, 4e-3):
        moved = jnp.zeros_like(reference) + jnp.array([2e-3, -1e-3, -depth])
        tangent = np.asarray(term.tangents(reference, moved, jnp.array(1.0)))
        step = 1e-7
        for axis in range(3):
            shift = jnp.zeros(3).at[axis].set(step)
            ahead = term.forces(reference, moved + shift, jnp.array(1.0))
            behind = term.forces(reference, moved - shift, jnp.array(1.0))
            slope = -np.asarray(ahead - behind) / (2 * step)
            assert tangent[..., axis].sum(axis=2) == pytest.approx(slope, rel=1e-6, abs=1e-6)
        assert np.abs(np.asarray(term.forces(reference, moved, jnp.array(1.0)))[..., :2]).max() < 1e-12
    with pytest.raises(SolverError, match="onset"):
        Springs("z0", 1.0, one_sided=True, onset=0.0)


@pytest.mark.parametrize("element", ELEMENTS)
def test_grip_gives_way_and_a_stiff_one_is_a_grasp(element: str) -> None:
    """The base feels what lined jaws exert, which is less than rigid ones; with a stiff lining they are rigid."""
    model = body(element=element)
    motion = {"path": [(0.0, 0.0, 0.004), (0.003, 0.0, 0.008)], "rotation": (0.0, 0.0, 0.2)}
    rigid = model.problem(supports=[Fixed("z0")], prescribed=[Grasp("z1", **motion)])
    expected = fields.reaction(rigid, solve(rigid).final, "z1")
    forces = []
    for stiffness in (1e6, 1e10):
        grip = Grip("z1", stiffness, **motion)
        problem = model.problem(supports=[Fixed("z0")], prescribed=[grip])
        final = solve(problem, tolerance=1e-9).final
        force = fields.force_of(problem, final, grip)
        assert force == pytest.approx(-fields.reaction(problem, final, "z0"), abs=1e-6)
        forces.append(force)
    assert forces[1] == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert 0.1 < forces[0][2] / expected[2] < 0.999


def test_grip_takes_hold_where_the_body_is() -> None:
    """Taking hold of a body that already hangs moves nothing."""
    model = body()
    weight = Gravity((0.0, 0.0, -9.81))
    hanging = solve(model.problem(loads=[weight], supports=[Fixed("z0")]), tolerance=1e-10).final
    grip = Grip("z1", 1e6, rest=hanging.displacement)
    held = model.problem(loads=[weight], supports=[Fixed("z0")], prescribed=[grip])
    state = solve(held, tolerance=1e-10).final
    assert np.asarray(state.displacement) == pytest.approx(np.asarray(hanging.displacement), abs=1e-9)
    assert fields.force_of(held, state, grip) == pytest.approx(np.zeros(3), abs=1e-6)
    with pytest.raises(SolverError, match="rest has shape"):
        model.problem(supports=[Fixed("z0")], prescribed=[Grip("z1", 1e6, rest=jnp.zeros((2, 3)))])
    with pytest.raises(SolverError, match="stiffness of 0 N/m³ is not plausible"):
        Grip("z1", 0.0)


def test_point_springs_and_ligament() -> None:
    """Springs to ground share a load; a ligament that is slack does not pull, a taut one does."""
    model = body()
    area = 0.01
    springs = model.problem(loads=[Traction("z1", (0, 0, 10.0))], supports=[PointSprings("all", 50.0)])
    moved = np.asarray(solve(springs, tolerance=1e-10).final.displacement)
    assert (moved[:, 2].mean()) == pytest.approx(10.0 * area / 50.0, rel=1e-9)
    results = {}
    for slack in (0.5, 3.0):
        ligament = Ligament("z1", 200.0, anchor=(0.05, 0.05, 0.2), slack=slack)
        problem = model.problem(supports=[Fixed("z0"), ligament])
        results[slack] = fields.reaction(problem, solve(problem).final, "z0")[2]
    assert results[3.0] == pytest.approx(0.0, abs=1e-12)
    assert results[0.5] < -1.0


def thick_sphere(pressure_inner: float, law: NeoHookean, inner: float, outer: float) -> float:
    """Inner radius change of a compressible neo-Hookean thick sphere under a follower pressure, by shooting.

    Unknown r(R): d(R² P_R)/dR = 2 R P_T with P = ∂W/∂stretch, λ_R = r', λ_T = r/R; P_R = −p λ_T² inside, 0 outside.
    """
    mu, lam = law.shear_modulus, law.lame

    def nominal(a: float, b: float) -> tuple[float, float]:
        log = np.log(a * b * b)
        return mu * (a - 1 / a) + lam * log / a, mu * (b - 1 / b) + lam * log / b

    def slope(radius: float, state: np.ndarray) -> list[float]:
        place, flow = state
        hoop = place / radius
        target = flow / radius**2
        radial = brentq(lambda a: nominal(a, hoop)[0] - target, 0.05, 20.0, xtol=1e-14)
        return [radial, 2 * radius * nominal(radial, hoop)[1]]

    def miss(hoop: float) -> float:
        start = [hoop * inner, -pressure_inner * hoop**2 * inner**2]
        return solve_ivp(slope, (inner, outer), start, rtol=1e-9, atol=1e-12).y[1, -1]

    return brentq(miss, 1.0, 1.6, xtol=1e-10) * inner - inner


@pytest.mark.slow
def test_inflation_of_a_thick_sphere() -> None:
    """An eighth of a sphere under follower pressure against the one-dimensional equation."""
    law, inner, outer, pressure = NeoHookean.from_young(3e4, 0.4), 0.1, 0.2, 5000.0

    mesh = _sphere_octant(inner, outer)
    model = Model.from_mesh(mesh, {"body": law}, element="T10")
    supports = [Fixed("x0", "x"), Fixed("y0", "y"), Fixed("z0", "z")]
    problem = model.problem(loads=[Pressure("bore", pressure, symmetric=True)], supports=supports)
    state = solve(problem, load_steps=2).final
    bore = np.unique(mesh.facet_sets["bore"])
    points = np.asarray(model.points)[bore]
    outward = points / np.linalg.norm(points, axis=1)[:, None]
    moved = (np.asarray(state.displacement)[bore] * outward).sum(axis=1).mean()
    assert moved == pytest.approx(thick_sphere(pressure, law, inner, outer), rel=0.01)


def _sphere_octant(inner: float, outer: float, cells: int = 6):
    """An eighth of a shell, mm: the faces x = 1, y = 1 and z = 1 of a cube, blown onto spheres."""
    from preop.meshing.mesh import TetMesh

    parts, shift = [], 0
    points, elements = [], []
    for axis in range(3):
        patch = bodies.box((cells, cells, cells // 2), size=(1, 1, 1))
        unit = patch.points
        flat = np.tan(0.25 * np.pi * unit[:, :2])
        ray = np.insert(flat, 2, 1.0, axis=1)
        ray = np.roll(ray / np.linalg.norm(ray, axis=1)[:, None], axis + 1, axis=1)
        points.append(1e3 * (inner + (outer - inner) * unit[:, 2])[:, None] * ray)
        elements.append(patch.tetrahedra + shift)
        parts.append(patch.facet_sets["z0"] + shift)
        shift += len(unit)
    place, _first, inverse = np.unique(
        np.round(np.concatenate(points), 6), axis=0, return_index=True, return_inverse=True
    )
    cells_ = inverse.ravel()[np.concatenate(elements)]
    bore = inverse.ravel()[np.concatenate(parts)]
    corner = place[cells_]
    volume = np.linalg.det(corner[:, 1:] - corner[:, :1])
    cells_[volume < 0] = cells_[volume < 0][:, [0, 2, 1, 3]]
    side = {f"{'xyz'[a]}0": np.flatnonzero(np.abs(place[:, a]) < 1e-6) for a in range(3)}
    normal = np.cross(place[bore[:, 1]] - place[bore[:, 0]], place[bore[:, 2]] - place[bore[:, 0]])
    inward = (normal * place[bore].mean(axis=1)).sum(axis=1) > 0
    bore[inward] = bore[inward][:, [0, 2, 1]]
    return TetMesh(place, cells_, np.ones(len(cells_)), {1: "body"}, facet_sets={"bore": bore}, node_sets=side)


def test_unsymmetric_pressure() -> None:
    """An open sheet under follower pressure turns with its surface: Newton on the full stiffness stays quadratic."""
    model = body(2)
    problem = model.problem(loads=[Pressure("z1", 600.0)], supports=[Fixed("x0")])
    assert not problem.terms()[0].symmetric
    solution = solve(problem)
    assert solution.converged
    before, after = solution.statistics.steps[-1].residuals[2:4]
    assert before < 0.01
    assert after < before**2


def test_pressure_on_the_device() -> None:
    """Over a held rim the stiffness is symmetric, and both paths find the same shape."""
    model = body(3)
    rim = [Fixed(side) for side in ("x0", "x1", "y0", "y1", "z0")]
    problem = model.problem(loads=[Pressure("z1", 900.0)], supports=rim)
    host, device = (
        np.asarray(solve(problem, tolerance=1e-10, linear_solver=path).final.displacement)
        for path in ("host", "device")
    )
    assert host[:, 2].min() < -1e-3
    assert device == pytest.approx(host, abs=1e-9)


def manufactured(points: jax.Array) -> jax.Array:
    """A smooth displacement [m] on the unit cube."""
    x, y, z = points
    return 0.05 * jnp.stack([jnp.sin(2 * y) * z, jnp.sin(2 * z + x) * y, jnp.cos(x * 2) * y * z])


def body_force(points: jax.Array) -> jax.Array:
    """−Div P of the manufactured displacement, by autodiff."""

    def piola(at: jax.Array) -> jax.Array:
        return LAW.first_piola((jnp.eye(3) + jax.jacfwd(manufactured)(at))[:, :, None])[:, :, 0]

    return -jnp.einsum("ijj->i", jax.jacfwd(piola)(points))


ORDERS = {
    "T4": (2.0, 1.0, (4, 8)),
    "T4P1": (2.0, 1.0, (8, 16)),
    "T10": (3.0, 2.0, (2, 4)),
    "T10P1": (3.0, 2.0, (2, 4)),
    "H8": (2.0, 1.0, (4, 8)),
}


# Those of the others are in the table of `preop verify tissue`, which runs with the short tests.
@pytest.mark.slow
@pytest.mark.parametrize("element", [pytest.param(e, marks=[pytest.mark.long] * (e != "T10")) for e in ORDERS])
def test_order_of_convergence(element: str) -> None:
    """L² and H¹ errors of a manufactured solution fall with the orders p + 1 and p (within 0.25)."""
    order_l2, order_h1, counts = ORDERS[element]
    errors = []
    for count in counts:
        model = Model.from_mesh(bodies.mesh_for(element, (count,) * 3), {"body": LAW}, element=element)
        points = np.asarray(model.points)
        outside = np.flatnonzero(((points < 1e-12) | (points > 1 - 1e-12)).any(axis=1)).astype(np.int32)
        model = eqx.tree_at(lambda m: m.node_sets, model, {**model.node_sets, "outside": outside})
        problem = model.problem(
            loads=[BodyForce(body_force)], prescribed=[Prescribed("outside", jax.vmap(manufactured))]
        )
        errors.append(_errors(model, solve(problem, tolerance=1e-9).final.displacement))
    found = np.log2(np.array(errors[0]) / np.array(errors[1]))
    assert found == pytest.approx([order_l2, order_h1], abs=0.25)


_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(3)
GAUSS_3 = Quadrature(
    np.stack(np.meshgrid(_POINTS, _POINTS, _POINTS), axis=-1).reshape(-1, 3),
    np.einsum("i,j,k->ijk", _WEIGHTS, _WEIGHTS, _WEIGHTS).ravel(),
)


def _errors(model: Model, displacement: jax.Array) -> tuple[float, float]:
    block = model.blocks[0]
    element = block.element
    rule = ELEMENTS["T10"].load_quadrature if element.corners == 4 else GAUSS_3
    shape = jnp.asarray(element.shape(rule.points))
    nodes = block.nodes[:, : element.nodes]
    reference, moved = model.points[nodes], displacement[nodes]
    grad, weight = element.geometry(reference, rule)
    at = jnp.einsum("qa,eai->eqi", shape, reference)
    miss = jnp.einsum("qa,eai->eqi", shape, moved) - jax.vmap(jax.vmap(manufactured))(at)
    slope = jnp.einsum("ajqe,eai->eqij", grad, moved) - jax.vmap(jax.vmap(jax.jacfwd(manufactured)))(at)
    return tuple(float(jnp.sqrt(jnp.einsum("eq...,eq...,qe->", m, m, weight))) for m in (miss, slope))


@pytest.mark.slow
def test_gradient_against_finite_differences() -> None:
    """The adjoint gives the slope of a displacement in stiffness, load, spring, path and density, to 1e-5."""

    def make() -> object:
        model = body(2)
        return model.problem(
            loads=[Gravity((0, 0, -9.81)), Traction("x1", (30.0, 0, 10.0))],
            supports=[Springs("z0", 1e5)],
            prescribed=[Grasp("z1", (0.0, 0.01, 0.01))],
        )

    def functional(displacement, problem):
        return jnp.sum(displacement[:, 0] ** 2) * 1e3 + jnp.sum(displacement[:5, 2])

    problem = make()
    state = solve(problem, tolerance=1e-12).final
    found = gradient(functional, problem, state)
    picks = {
        "stiffness": lambda p: p.model.blocks[0].material.shear_modulus,
        "density": lambda p: p.model.blocks[0].density,
        "traction": lambda p: p.loads[1].traction,
        "spring": lambda p: p.supports[0].stiffness,
        "path": lambda p: p.prescribed[0].path,
        "points": lambda p: p.model.points,
    }
    rng = np.random.default_rng(1)
    for name, pick in picks.items():
        base = np.asarray(pick(problem))
        way = rng.standard_normal(base.shape)
        step = 1e-4 * max(np.abs(base).max(), 1e-3)

        def value(sign: float, pick=pick, base=base, way=way, step=step) -> float:
            moved = eqx.tree_at(pick, problem, jnp.asarray(base + sign * step * way))
            return float(functional(solve(moved, tolerance=1e-12, start=state).final.displacement, moved))

        slope = (8 * (value(1) - value(-1)) - (value(2) - value(-2))) / (12 * step)
        assert float(np.sum(np.asarray(pick(found)) * way)) == pytest.approx(slope, rel=1e-5), name


def test_failures_are_named() -> None:
    """An impossible motion ends with a code and no answer; converged steps before it are kept."""
    model = body(2)
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0, 0, -0.12))])
    solution = solve(problem, load_steps=4, max_iterations=12)
    assert not solution.converged
    assert all(state.load_fraction < 1 for state in solution.states)
    with pytest.raises(SolverError, match="of the load"):
        solution.require_converged()
    assert solution.result in (ResultCode.inverted_element, ResultCode.newton_diverged)


def test_progress_and_interruption() -> None:
    """Progress is told at every iteration, and an interruption in it stops the solve."""
    told = []
    problem = body(2).problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0, 0, 0.01))])
    solve(problem, progress=lambda fraction, message: told.append((fraction, message)))
    assert told[-1][0] == 1.0
    assert any("iteration" in message for _, message in told)

    def interrupt(fraction: float | None, message: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solve(problem, progress=interrupt)


BAD = {
    "floating": (lambda m: m.problem(loads=[Gravity()]), "not held"),
    "hinged": (lambda m: m.problem(supports=[Fixed("z0", "z")]), "can"),
    "unknown set": (lambda m: m.problem(supports=[Fixed("nowhere")]), "nowhere"),
    "unknown facets": (lambda m: m.problem(loads=[Pressure("nowhere", 1.0)], supports=[Fixed("z0")]), "nowhere"),
    "conflict": (
        lambda m: m.problem(supports=[Fixed("z0")], prescribed=[Grasp("x0", (0.01, 0, 0))]),
        "different displacements along x",
    ),
    "nan": (lambda m: m.problem(loads=[Gravity((0, np.nan, 0))], supports=[Fixed("z0")]), "not finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_problems_are_named(case: str) -> None:
    """One line: what is wrong and where."""
    make, words = BAD[case]
    with pytest.raises(SolverError, match=words):
        make(body(2))


@pytest.mark.parametrize(
    ("young", "poisson", "words"),
    [(1e4, 0.51, "Poisson"), (-1e4, 0.3, "positive"), (5.0, 0.3, "kPa"), (np.nan, 0.3, "Young")],
)
def test_bad_materials_are_named(young: float, poisson: float, words: str) -> None:
    """E in kPa, ν = 1/2 and negative moduli are told apart."""
    with pytest.raises(SolverError, match=words):
        NeoHookean.from_young(young, poisson)


def test_incompressible_with_displacement_elements_is_named() -> None:
    """ν = 1/2 makes a material, which an element without pressure refuses."""
    law = NeoHookean.from_young(1e4, 0.5)
    assert law.problems() == []
    with pytest.raises(SolverError, match=r"'body'.*Poisson"):
        Model.from_mesh(bodies.box(), {"body": law})


def test_region_without_material() -> None:
    """The region is named."""
    with pytest.raises(SolverError, match="'body'"):
        Model.from_mesh(bodies.box(), {})


def test_inward_facets_are_named() -> None:
    """A pressure on facets that point into the body raises."""
    mesh = bodies.box((2, 2, 2))
    mesh.facet_sets["wrong"] = mesh.facet_sets["z1"][:, ::-1]  # pyright: ignore[reportIndexIssue]
    model = Model.from_mesh(mesh, {"body": LAW})
    with pytest.raises(SolverError, match="point into the body"):
        model.problem(loads=[Pressure("wrong", 1.0)], supports=[Fixed("z0")])


def test_catalogue() -> None:
    """Every tissue has a citation, lies in its own range and makes a material."""
    for tissue in TISSUES.values():
        assert tissue.young_range[0] <= tissue.young <= tissue.young_range[1]
        assert any(digit in tissue.stiffness_source for digit in "0123456789")
        assert NeoHookean.from_young(tissue.young, tissue.poisson).problems() == []
