"""Pictures: what is drawn is what was computed, and nothing is kept by pyplot."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.objectives import Function, SoftmaxRegression, surfaces

pytest.importorskip("matplotlib")
pytest.importorskip("scipy")


def figure() -> Any:
    from matplotlib.figure import Figure

    return Figure()


def rendered(ax: Any) -> np.ndarray:
    """Pixels of the figure: drawing it raises no warning."""
    from matplotlib.image import imread

    buffer = io.BytesIO()
    getattr(ax, "figure", ax).savefig(buffer, format="png", dpi=50)
    buffer.seek(0)
    return imread(buffer)


def descent_path(f: Any, x0: list[float], steps: int = 10) -> list[np.ndarray]:
    descent = fl.GradientDescent(f, x0)
    return [descent.x, *(descent.x for _ in range(steps) if descent.step().success)]


@pytest.fixture(scope="module")
def model() -> SoftmaxRegression:
    rng = np.random.default_rng(0)
    return SoftmaxRegression(rng.normal(size=(40, 4)), np.arange(40) % 3, l2=0.01)


# ---- curves --------------------------------------------------------------------------------------


def test_curve_of_one_parameter() -> None:
    f = surfaces.Risk()
    ax = fl.plot.loss_curve(f, resolution=7, color="k", label="risk")
    (line,) = ax.get_lines()
    x = np.linspace(-1, 2, 7)
    np.testing.assert_array_equal(line.get_xydata(), [[a, f.loss([a])] for a in x])
    assert (line.get_color(), line.get_label(), ax.get_xlabel()) == ("k", "risk", "$φ$")
    assert fl.plot.loss_curve(f, extent=(0, 1), ax=ax) is ax
    assert ax.get_lines()[1].get_xdata()[[0, -1]].tolist() == [0, 1]
    root = Function(lambda x: np.sqrt(x[0]), n_params=1)
    (gap,) = fl.plot.loss_curve(root, resolution=5).get_lines()
    np.testing.assert_array_equal(gap.get_ydata(), [np.nan, np.nan, 0, 1, np.sqrt(2)])


def test_curve_between_two_points(model: SoftmaxRegression) -> None:
    phi, u = np.random.default_rng(1).normal(size=(2, model.n_params))
    ax = fl.plot.loss_curve(model, phi, u, resolution=3, batch=[1, 2])
    expected = [model.loss(phi + a * u, [1, 2]) for a in (0, 0.5, 1)]
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), expected, rtol=1e-14)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$a$", "loss")
    rendered(ax)


def test_curves_refuse(model: SoftmaxRegression) -> None:
    phi = np.zeros(model.n_params)
    for arguments, message in (
        ((), "center must say where the line through"),
        ((phi,), "direction must say"),
        ((phi, phi), "direction is 0 everywhere"),
        ((phi, [1.0]), "direction has shape"),
    ):
        with pytest.raises(ValueError, match=message):
            fl.plot.loss_curve(model, *arguments)
    risk = surfaces.Risk()
    for options, message in (
        ({"extent": (1, 0)}, "extent must be a pair"),
        ({"extent": ((0, 1), (0, 1))}, "extent must be a pair"),
        ({"resolution": 1}, "resolution must be at least 2"),
    ):
        with pytest.raises(ValueError, match=message):
            fl.plot.loss_curve(risk, **options)
    with pytest.raises(ValueError, match="no loss is finite"):
        fl.plot.loss_curve(Function(lambda x: np.nan, n_params=1))


# ---- surfaces ------------------------------------------------------------------------------------


def test_surface_shows_the_losses() -> None:
    f = surfaces.Himmelblau()
    ax = fl.plot.loss_surface(f, resolution=11)
    image = ax.get_images()[0]
    grid = np.linspace(-5, 5, 11)
    expected = [[f.loss([x, y]) for x in grid] for y in grid]
    np.testing.assert_array_equal(image.get_array(), expected)
    assert image.get_extent() == [-5, 5, -5, 5]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$φ_0$", "$φ_1$")
    np.testing.assert_array_equal(ax.get_lines()[0].get_xydata(), f.minima)
    assert [a.get_ylabel() for a in ax.figure.axes] == ["$φ_1$", "loss"]
    assert rendered(ax).std() > 0.05


def test_surface_options() -> None:
    f = Function(lambda x: x[0] ** 2 + 4 * x[1] ** 2, n_params=2)
    axes = figure().subplots()
    ax = fl.plot.loss_surface(f, extent=((0, 1), (2, 4)), resolution=5, levels=0, ax=axes)
    assert ax is axes
    assert (*ax.get_xlim(), *ax.get_ylim()) == (0, 1, 2, 4)
    assert not [c for c in ax.collections if type(c).__name__ == "QuadContourSet"]
    # By its minimum at an end of the domain this is no long tail, Rosenbrock's is one.
    norms = [
        type(fl.plot.loss_surface(g, resolution=21, log=log).get_images()[0].norm).__name__
        for g, log in ((f, None), (surfaces.Rosenbrock(), None), (surfaces.Rosenbrock(), False))
    ]
    assert norms == ["Normalize", "FuncNorm", "Normalize"]


def test_surface_without_a_bar() -> None:
    ax = fl.plot.loss_surface(surfaces.Saddle(), resolution=5, colorbar=False)
    assert ax.figure.axes == [ax]


def test_losses_that_are_not_finite_are_left_out() -> None:
    f = Function(lambda x: np.log(x[0]) + x[1], n_params=2)
    ax = fl.plot.loss_surface(f, resolution=21)
    shown = ax.get_images()[0].get_array()
    assert shown.mask[:, :11].all()
    assert not shown.mask[:, 11:].any()
    rendered(ax)
    nowhere = Function(lambda x: np.nan, n_params=2)
    with pytest.raises(ValueError, match="no loss is finite within the extent"):
        fl.plot.loss_surface(nowhere, resolution=3)
    level = Function(lambda x: 1.0, n_params=2)
    rendered(fl.plot.loss_surface(level, resolution=3))


def test_slices(model: SoftmaxRegression) -> None:
    phi = np.random.default_rng(1).normal(size=model.n_params)
    u, v = np.eye(model.n_params)[[2, 5]]
    ax = fl.plot.loss_surface(model, phi, (u, v), resolution=3, batch=[1, 2])
    a = np.linspace(-1, 1, 3)
    expected = [[model.loss(phi + x * u + y * v, [1, 2]) for x in a] for y in a]
    np.testing.assert_allclose(ax.get_images()[0].get_array(), expected, rtol=1e-14)
    for directions in (None, "random", "eigen"):
        shown = fl.plot.loss_surface(model, phi, directions, resolution=3).get_images()[0]
        assert shown.get_array()[1, 1] == pytest.approx(model.loss(phi))


def test_random_directions_are_normalised_by_filter(model: SoftmaxRegression) -> None:
    from fallline.plot._plane import choose_plane

    phi = np.random.default_rng(1).normal(size=model.n_params)
    plane = choose_plane(model, phi, "random", 0)
    for direction in plane.axes:
        for name, filters in model.unpack(phi).items():
            own = model.unpack(direction)[name]
            np.testing.assert_allclose(
                np.linalg.norm(own, axis=-1), np.linalg.norm(filters, axis=-1), rtol=1e-12
            )
    again, other = (choose_plane(model, phi, "random", seed) for seed in (0, 1))
    assert np.array_equal(plane.axes, again.axes)
    assert not np.array_equal(plane.axes, other.axes)


def test_eigen_directions() -> None:
    from fallline.plot._plane import choose_plane

    f = surfaces.QuadraticValley(9, 4, seed=2)
    plane = choose_plane(f, f.initial(), "eigen", 0)
    for direction, value in zip(plane.axes, (9, 1), strict=True):
        np.testing.assert_allclose(f.hvp(f.initial(), direction), value * direction, atol=1e-12)
    assert plane.names == ("eigenvector of λ = 9", "eigenvector of λ = 1")


def test_planes() -> None:
    rng = np.random.default_rng(0)
    center, u, v = rng.normal(size=(3, 6))
    plane = fl.plot.Plane(center, u, v)
    coordinates = rng.normal(size=(5, 2))
    points = np.array([plane.point(a, b) for a, b in coordinates])
    np.testing.assert_allclose(plane.project(points), coordinates, atol=1e-12)
    normal = np.linalg.svd(np.stack([u, v]))[2][-1]
    np.testing.assert_allclose(plane.project(points + normal), coordinates, atol=1e-12)


# ---- paths ---------------------------------------------------------------------------------------


def test_paths_over_a_surface() -> None:
    f = surfaces.Rosenbrock()
    paths = {"a": descent_path(f, [-1.2, 1]), "b": np.array([[0, 0], [1, 1], [np.nan, 0], [2, 2]])}
    ax = fl.plot.loss_surface(f, resolution=21)
    limits = ax.get_xlim(), ax.get_ylim()
    assert fl.plot.trajectory(paths, ax=ax) is ax
    lines = {line.get_label(): line.get_xydata() for line in ax.get_lines()}
    np.testing.assert_allclose(lines["a"], paths["a"], atol=1e-12)
    np.testing.assert_allclose(lines["b"], [[0, 0], [1, 1]], atol=1e-12)  # up to what is not finite
    assert (ax.get_xlim(), ax.get_ylim()) == limits
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b"]
    rendered(ax)


def test_paths_bring_their_own_surface() -> None:
    f = surfaces.QuadraticValley(10)
    path = np.array(descent_path(f, [10.0, 1.0]))
    ax = fl.plot.trajectory(path, f, resolution=11)
    (low, high), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert low < path[:, 0].min() < path[:, 0].max() < high
    assert bottom < path[:, 1].min() < path[:, 1].max() < top
    assert ax.get_legend() is None
    assert len(ax.get_images()) == 1
    bare = fl.plot.trajectory(SimpleNamespace(trajectory=path))
    assert not bare.get_images()
    still = fl.plot.trajectory([[1.0, 1.0], [1.0, 1.0]], f, resolution=3)  # has no range
    for drawn in (ax, bare, still):
        rendered(drawn)


def test_paths_of_many_parameters(model: SoftmaxRegression) -> None:
    """In the principal plane, which holds all of a path that lies in a plane."""
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=(2, model.n_params))
    t = np.linspace(0, 6, 30)
    path = np.exp(-0.3 * t)[:, None] * (np.cos(t)[:, None] * u + np.sin(t)[:, None] * v)
    ax = fl.plot.trajectory({"spiral": path}, model, resolution=5)
    drawn = ax.get_lines()[0].get_xydata()
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(np.diff(drawn, axis=0), axis=1), lengths)
    assert drawn[-1] == pytest.approx(0, abs=1e-12)
    # The same plane can be asked for, and serves other paths on the same axes.
    ax = fl.plot.loss_surface(model, path[-1], (u, v), resolution=5)
    fl.plot.trajectory(path, ax=ax)
    expected = fl.plot.Plane(path[-1], u, v).project(path)
    np.testing.assert_allclose(ax.get_lines()[0].get_xydata(), expected)
    one = fl.plot.trajectory(path[:1], model, resolution=3)
    rendered(one)


def test_compare() -> None:
    f = surfaces.Rosenbrock()
    path = descent_path(f, [-1.2, 1])
    whole = fl.plot.compare({"a": path, "b": path[:4]}, f)
    left, right = whole.axes[:2]
    assert len(left.get_images()) == 1
    curves = {line.get_label(): line.get_ydata() for line in right.get_lines()}
    np.testing.assert_allclose(curves["a"], [f.loss(x) for x in path])
    assert len(curves["b"]) == 4
    result = SimpleNamespace(history=[3.0, 2.0], trajectory=path)
    both = fl.plot.compare({"a": result}, f, xlabel="epoch")
    assert both.axes[1].get_lines()[0].get_ydata().tolist() == [3, 2]
    assert both.axes[1].get_xlabel() == "epoch"
    own = figure()
    only = fl.plot.compare(
        {"a": SimpleNamespace(history=[3.0, 2.0]), "b": [1.0, 0.5]}, f, figure=own
    )
    assert only is own
    assert len(only.axes) == 1
    for drawn in (whole, both, only):
        rendered(drawn)


def test_history_of_results() -> None:
    run = SimpleNamespace(history=np.array([3.0, 2.0]))
    assert fl.plot.history({"a": run}).get_lines()[0].get_ydata().tolist() == [3, 2]
    assert fl.plot.history(run).get_legend() is None


# ---- searches and spectra ------------------------------------------------------------------------


@pytest.mark.parametrize("search", ["bracketing", "golden_section", "brent"])
def test_brackets(search: str) -> None:
    found = getattr(fl.linesearch, search)(lambda x: (x - 1) ** 2, 0, 3)
    ax = fl.plot.brackets(found, lambda x: np.sqrt(x - 0.5), limit=7)
    segments = np.array(ax.collections[0].get_segments())
    rows = found.brackets[:7]
    np.testing.assert_array_equal(segments[:, :, 0], rows[:, [0, -1]])
    np.testing.assert_array_equal(segments[:, 0, 1], np.arange(len(rows)))
    assert len(ax.figure.axes) == 2
    rendered(ax)
    nothing = fl.linesearch.backtracking(lambda x: x, 1.0)
    with pytest.raises(ValueError, match="the search had no intervals: the slope is 1 at 0"):
        fl.plot.brackets(nothing)


def test_spectrum() -> None:
    f = surfaces.MixedCubic()
    point = fl.curvature.critical_point(f, [0.0, 0.0])
    ax = fl.plot.spectrum(point)
    drawn = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    np.testing.assert_array_equal(drawn["negative"], point.eigenvalues[:1])
    np.testing.assert_array_equal(drawn["positive"], point.eigenvalues[1:])
    assert (ax.get_title(), ax.get_yscale()) == ("saddle", "linear")
    wide = fl.plot.spectrum([1e-3, -5.0, 0.0, 2.0])
    assert wide.get_yscale() == "symlog"
    assert "about 0" in [t.get_text() for t in wide.get_legend().get_texts()]
    ends = fl.curvature.critical_point(surfaces.QuadraticValley(10, 600), np.zeros(600), k=2)
    part = fl.plot.spectrum(ends, log=False)
    assert part.get_lines()[0].get_xdata().tolist() == [0, 1, 3, 4]
    assert [t.get_text() for t in part.get_xticklabels()] == ["0", "1", "598", "599"]
    assert [t.get_text() for t in part.texts] == ["596 not computed"]
    for drawn_on in (ax, wide, part, fl.plot.spectrum([0.0])):
        rendered(drawn_on)
    with pytest.raises(ValueError, match="eigenvalues must be a row of finite numbers"):
        fl.plot.spectrum([1.0, np.nan])


def test_pyplot_is_left_alone() -> None:
    from matplotlib import pyplot

    f = surfaces.Rosenbrock()
    path = descent_path(f, [-1.2, 1])
    fl.plot.loss_surface(f, resolution=3)
    fl.plot.trajectory(path, f, resolution=3)
    fl.plot.compare({"a": path}, f)
    fl.plot.spectrum([1.0])
    assert pyplot.get_fignums() == []


RUNS = np.zeros((3, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fl.plot.loss_surface(surfaces.Cubic()),
            "the objective has 1 parameter; a surface",
        ),
        (lambda: fl.plot.loss_surface(surfaces.Rosenbrock(3)), "center must say where the slice"),
        (lambda: fl.plot.loss_surface(surfaces.Rosenbrock(3), [1, 2]), r"center has shape \(2,\)"),
        (
            lambda: fl.plot.loss_surface(surfaces.Rosenbrock(3), [1, 2, 3], "pca"),
            "directions must be 'random', 'eigen' or two vectors, not 'pca'",
        ),
        (
            lambda: fl.plot.loss_surface(surfaces.Rosenbrock(3), [1, 2, 3], np.eye(3)),
            "directions must be two vectors, not 3",
        ),
        (
            lambda: fl.plot.loss_surface(surfaces.Rosenbrock(3), [1, 2, 3], np.ones((2, 3))),
            "u and v are parallel",
        ),
        (
            lambda: fl.plot.loss_surface(surfaces.Rosenbrock(3), [1, 2, 3], np.zeros((2, 3))),
            "the direction u is 0 everywhere",
        ),
        (lambda: fl.plot.loss_surface(surfaces.Rosenbrock(3), [0, 0, 0]), "center is 0, which has"),
        (
            lambda: fl.plot.loss_surface(surfaces.Saddle(), extent=(0, 1)),
            "extent must be two pairs",
        ),
        (lambda: fl.plot.loss_surface(surfaces.Saddle(), resolution=1), "resolution must be at le"),
        (lambda: fl.plot.trajectory({}), "paths is empty"),
        (lambda: fl.plot.trajectory({"a": [1.0]}), r"paths\['a'\] has shape \(1,\); expected"),
        (lambda: fl.plot.trajectory([[np.nan, 1.0]]), "paths starts at parameters that are not"),
        (lambda: fl.plot.trajectory({"a": RUNS, "b": np.ones((3, 3))}), "paths differ in their"),
        (lambda: fl.plot.compare({}), "runs must be a mapping"),
        (lambda: fl.plot.compare({"a": RUNS}), r"runs\['a'\] is a path; objective must be given"),
        (lambda: fl.plot.Plane([0, 0], [1, 0], [0, 1]).project([1.0]), r"points have shape \(1,\)"),
    ],
)
def test_bad_arguments(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'fallline\[plot\]'"):
        fl.plot.loss_surface(surfaces.Saddle(), resolution=3)
