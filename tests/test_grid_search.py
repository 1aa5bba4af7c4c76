"""grid_search: the losses of single evaluations, the best of them, and what it refuses."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import grid
from fallline.objectives import Gabor, LinearRegression, ShallowReLU, SoftmaxRegression

BACKENDS = fl.backends()
X = np.linspace(-15, 15, 28)


def gabor(dtype: Any = np.float64, **options: Any) -> Gabor:
    x = X.astype(dtype)
    return Gabor(x, np.sin(0.8 * x), **options)


def one_by_one(f: Any, axes: list[Any], batch: Any = None) -> Any:
    shape = tuple(map(len, axes))
    points = (np.array(p, f.dtype) for p in product(*axes))
    return np.array([f.loss(p, batch) for p in points]).reshape(shape)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch", [None, [3, 1, 4, 1, 5]], ids=["all", "batch"])
def test_losses_are_those_of_single_points(backend: str, batch: Any, dtype: str) -> None:
    f = gabor(dtype, backend=backend, l2=1e-3)
    axes = [np.linspace(-10, 10, 17), np.linspace(2.5, 22.5, 13)]
    result = fl.grid_search(f, {"phi0": axes[0], "phi1": axes[1]}, batch=batch)
    assert result.losses.tobytes() == one_by_one(f, axes, batch).tobytes()
    i, j = np.unravel_index(result.losses.argmin(), result.losses.shape)
    assert result.index == (i, j)
    assert result.fun == result.losses[i, j] == f.loss(result.x, batch)
    assert result.x.dtype == f.dtype
    assert (result.x == [result.axes["phi0"][i], result.axes["phi1"][j]]).all()
    assert result.success
    assert result.nfev == 17 * 13
    assert result.message == "the lowest of 221 finite losses"


@pytest.mark.skipif("native" not in BACKENDS, reason="needs the core")
def test_bits_do_not_depend_on_threads_or_isa() -> None:
    X, y = fl.datasets.digits()
    cases = [
        (gabor(), {0: np.linspace(-10, 10, 70), 1: np.linspace(0, 30, 80)}),
        (SoftmaxRegression(X, y), {5: [0.0, 1.0], 7: [0.5, -0.5]}),  # fewer points than threads
    ]
    for f, axes in cases:
        fl.set_num_threads(1)
        expected = fl.grid_search(f, axes, f.initial()).losses
        for isa in fl.isas():
            fl.set_isa(isa)
            for threads in (1, 2, 3, 7):
                fl.set_num_threads(threads)
                losses = fl.grid_search(f, axes, f.initial()).losses
                assert losses.tobytes() == expected.tobytes(), (isa, threads)


def test_parameters_by_index_and_by_name() -> None:
    f = ShallowReLU(X, np.abs(X), hidden=3)
    phi = f.initial(1)
    result = fl.grid_search(f, {("theta1", 2): [1, 2, 3], 0: [0.5, 0.7], ("phi", -1): [4.0]}, phi)
    assert result.losses.shape == (3, 2, 1)
    for i, slope in enumerate([1, 2, 3]):
        for j, offset in enumerate([0.5, 0.7]):
            point = phi.copy()
            point[[9, 0, 3]] = slope, offset, 4.0
            assert result.losses[i, j, 0] == f.loss(point)
    assert list(result.axes) == [("theta1", 2), 0, ("phi", -1)]
    assert (phi == f.initial(1)).all()  # untouched
    last = fl.grid_search(f, {-1: [7.0]}, phi)
    assert last.x[9] == 7.0

    table = SoftmaxRegression([[1.0, 2.0], [0.0, 1.0]], [0, 1])
    result = fl.grid_search(table, {("weight", 1, 0): [5.0]}, table.initial())
    assert table.unpack(result.x)["weight"][1, 0] == 5.0


def test_any_objective_and_blocks_of_points(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bowl(fl.objectives.Objective):
        def __init__(self) -> None:
            super().__init__(n_samples=1, shapes={"p": (2,)}, dtype=np.float64)

        def _accumulate(self, phi: Any, batch: Any, gradient: Any, scale: float) -> float:
            return float((phi**2).sum())

    axes = {("p", 0): np.linspace(-1, 1, 11), ("p", 1): np.linspace(-2, 2, 9)}
    for f, own in ((Bowl(), axes), (gabor(), dict(enumerate(axes.values())))):
        whole = fl.grid_search(f, own)
        monkeypatch.setattr(grid, "BLOCK", 14)  # 7 points
        assert fl.grid_search(f, own).losses.tobytes() == whole.losses.tobytes()
        monkeypatch.undo()
    assert (fl.grid_search(Bowl(), axes).x == [0, 0]).all()


def test_losses_that_are_not_finite_are_told() -> None:
    f = ShallowReLU([1.0, 2.0], [0.0, 1.0], hidden=1)
    phi = np.array([0.0, 1.0, 0.0, 1.0])
    result = fl.grid_search(f, {"phi0": [1e200, 0.5], ("phi", 0): [1e300, 1.0]}, phi)
    assert np.isinf(result.losses).tolist() == [[True, True], [True, False]]
    assert result.index == (1, 1)
    assert result.success
    assert "1 finite losses; 3 of 4 are not finite, the first at {'phi0': 1e+200," in result.message
    assert "sample 0 is inf" in result.message

    result = fl.grid_search(f, {"phi0": [1e200, 1e300]}, phi)
    assert not result.success
    assert result.message.startswith("no loss")
    assert result.index == (0,)


def test_bad_axes_are_named() -> None:
    f = ShallowReLU(X, X)
    phi = f.initial()
    for axes, error, what in (
        ({10: [1.0]}, IndexError, "parameter 10 of 10"),
        ({-11: [1.0]}, IndexError, "parameter -11"),
        ({"nothing": [1.0]}, ValueError, "no parameter 'nothing'.*phi0, phi, theta0, theta1"),
        ({True: [1.0]}, ValueError, "no parameter True"),
        ({(): [1.0]}, ValueError, r"no parameter \(\)"),
        ({"phi": [1.0]}, ValueError, r"'phi' is not one parameter.*\(3,\)"),
        ({("phi", 0, 0): [1.0]}, ValueError, "is not one parameter"),
        ({("phi", 0.0): [1.0]}, ValueError, "is not one parameter"),
        ({("phi", 3): [1.0]}, IndexError, r"phi has shape \(3,\)"),
        ({("phi", 0): [1.0], 1: [2.0]}, ValueError, "parameter 1 twice, the second time as 1"),
        ({0: []}, ValueError, r"axes\[0\] has shape \(0,\)"),
        ({0: [[1.0]]}, ValueError, r"axes\[0\] has shape \(1, 1\)"),
        ({0: [0.0, np.nan]}, ValueError, r"axes\[0\]\[1\] is nan"),
        ({0: ["a"]}, TypeError, r"axes\[0\] must be real"),
        ({}, TypeError, "axes must be a dict"),
        ([[1.0], [2.0]], TypeError, "axes must be a dict"),
    ):
        with pytest.raises(error, match=what):
            fl.grid_search(f, axes, phi)
    with pytest.raises(ValueError, match=r"\[1\] is 1e\+300; expected a finite number of float32"):
        fl.grid_search(gabor(np.float32), {0: [0.0, 1e300], 1: [1.0]})
    with pytest.raises(ValueError, match="phi is missing: axes set 1 of 10"):
        fl.grid_search(f, {0: [1.0]})
    with pytest.raises(ValueError, match="phi has shape"):
        fl.grid_search(f, {0: [1.0]}, phi[:-1])
    with pytest.raises(TypeError, match="objective"):
        fl.grid_search(lambda p: 0.0, {0: [1.0]})  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="batch"):
        fl.grid_search(f, {0: [1.0]}, phi, batch=[28])


def test_grids_beyond_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "available_memory", lambda: 10_000)
    f = LinearRegression([[1.0], [2.0]], [3.0, 5.0])
    with pytest.raises(MemoryError, match=r"grid of 30 x 20 points would take 14\.4 kB"):
        fl.grid_search(f, {0: np.arange(30.0), 1: np.arange(20.0)})
    assert fl.grid_search(f, {0: np.arange(10.0), 1: np.arange(20.0)}).fun == 0.0
