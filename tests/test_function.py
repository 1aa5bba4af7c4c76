"""Any function as an objective: given derivatives, differences in their place, bad outputs."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl

optimize = pytest.importorskip("scipy.optimize")

Function = fl.objectives.Function
ROSEN = (optimize.rosen, optimize.rosen_der, optimize.rosen_hess)
points = st.lists(st.floats(-2, 2), min_size=2, max_size=6).map(np.array)


@given(points)
def test_given_derivatives_are_used(x: np.ndarray) -> None:
    f = Function(*ROSEN, n_params=len(x))
    loss, gradient = f.loss_and_gradient(x)
    assert loss == optimize.rosen(x)
    assert np.array_equal(gradient, optimize.rosen_der(x))
    assert np.array_equal(f.hessian(x), optimize.rosen_hess(x))
    v = np.cos(np.arange(len(x)))
    assert np.allclose(f.hvp(x, v), optimize.rosen_hess(x) @ v, rtol=1e-14)
    product = Function(*ROSEN, hvp=optimize.rosen_hess_prod, x0=x)
    assert np.array_equal(product.hvp(x, v), optimize.rosen_hess_prod(x, v))


@given(points)
def test_differences_stand_in(x: np.ndarray) -> None:
    v = np.sin(1 + np.arange(len(x)))
    scale = 1 + np.abs(optimize.rosen_hess(x)).max()
    slope = Function(optimize.rosen, x0=x).gradient(x)
    assert np.abs(slope - optimize.rosen_der(x)).max() < 1e-8 * scale
    # SciPy's one-sided differences are no better than 1e-7: ours lie nearer the truth.
    assert np.abs(slope - optimize.approx_fprime(x, optimize.rosen)).max() < 1e-4 * scale
    for f, digits in (Function(*ROSEN[:2], x0=x), 1e-8), (Function(ROSEN[0], x0=x), 1e-5):
        assert np.abs(f.hvp(x, v) - optimize.rosen_hess(x) @ v).max() < digits * scale
        assert np.abs(f.hessian(x) - optimize.rosen_hess(x)).max() < digits * scale


def test_loss_and_gradient_of_one_function() -> None:
    calls = []

    def both(x: np.ndarray) -> tuple[float, np.ndarray]:
        calls.append(x)
        return optimize.rosen(x), optimize.rosen_der(x)

    f = Function(both, True, n_params=3)
    x = np.array([0.5, -1, 2])
    loss, gradient = f.loss_and_gradient(x)
    assert len(calls) == 1
    assert (loss, f.loss(x)) == (optimize.rosen(x), optimize.rosen(x))
    assert np.array_equal(gradient, optimize.rosen_der(x))
    assert np.allclose(f.hvp(x, x), optimize.rosen_hess(x) @ x, rtol=1e-7)
    with pytest.raises(TypeError, match=r"f must return \(loss, gradient\) with grad=True"):
        Function(lambda x: 1.0, True, n_params=1).loss([0.0])


def test_one_sample() -> None:
    f = Function(*ROSEN, n_params=2)
    x = [0.5, 2.0]
    assert (f.n_samples, f.n_params, f.dtype, f.reduction) == (1, 2, np.float64, "mean")
    for batch in ([0], [0, 0]):
        assert f.loss(x, batch) == f.loss(x) == f.losses(x, batch)[0]
        assert np.array_equal(f.gradient(x, batch), f.gradient(x))
        assert np.array_equal(f.hvp(x, x, batch), f.hvp(x, x))
        assert np.array_equal(f.hessian(x, batch), f.hessian(x))
    with pytest.raises(IndexError, match=r"batch\[0\] is 1; expected an index in \[0, 1\)"):
        f.loss(x, [1])


def test_initial_parameters() -> None:
    x0 = np.array([1, 2])
    f = Function(sum, x0=x0)
    assert f.initial().tolist() == [1.0, 2.0]
    f.initial()[:] = 7
    x0[:] = 7
    assert f.initial().tolist() == [1.0, 2.0]
    assert Function(sum, n_params=3).initial().tolist() == [0, 0, 0]
    assert Function(abs, x0=3.0).loss(-2.0) == 2.0  # a number is a vector of one


def test_it_says_what_it_forms_by_differences(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fallline"):
        f = Function(optimize.rosen, n_params=2)
    assert f.derivatives == {
        "gradient": "central differences of f",
        "hvp": "central differences of the gradient",
    }
    said = (
        "Function(rosen, 2 parameters, gradient by central differences of f, "
        "hvp by central differences of the gradient)"
    )
    assert repr(f) == said
    assert caplog.messages == [said]
    caplog.clear()
    with caplog.at_level(logging.INFO, "fallline"):
        f = Function(*ROSEN, n_params=2)
    assert repr(f) == "Function(rosen, 2 parameters, hvp by hess)"
    assert f.derivatives == {"gradient": "given", "hvp": "hess"}
    assert not caplog.messages


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"f": 3}, TypeError, "f must be callable, not 3"),
        ({"grad": 3}, TypeError, "grad must be callable, not 3"),
        ({"hess": True}, TypeError, "hess must be callable, not True"),
        ({"n_params": None}, TypeError, "x0 or n_params must say how many"),
        ({"n_params": 0}, ValueError, "n_params must be at least 1, not 0"),
        ({"n_params": 2.0}, TypeError, "n_params must be an integer, not 2.0"),
        ({"x0": [1.0]}, ValueError, r"x0 has shape \(1,\); expected \(2,\)"),
        ({"x0": [1.0, np.nan]}, ValueError, r"x0\[1\] is nan"),
        ({"x0": [], "n_params": None}, ValueError, "x0 is empty"),
        ({"x0": ["a", "b"]}, TypeError, "x0 must be real numbers"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Function(**{"f": optimize.rosen, "n_params": 2, **arguments})


X = np.array([0.5, 2.0])


@pytest.mark.parametrize(
    ("given", "call", "error", "message"),
    [
        ({"f": lambda x: x}, "loss", ValueError, r"f must return one number, .* \(2,\)"),
        ({"f": lambda x: 1j}, "loss", TypeError, "f must return a real number, not 1j"),
        ({"f": lambda x: None}, "loss", TypeError, "f must return a real number, not None"),
        ({"grad": lambda x: x[:1]}, "gradient", ValueError, r"grad returned has shape \(1,\); exp"),
        ({"grad": lambda x: 1j * x}, "gradient", TypeError, "what grad returned must be real"),
        ({"hess": lambda x: x}, "hessian", ValueError, r"hess returned has shape \(2,\); expected"),
        ({"hess": lambda x: 1j * np.eye(2)}, "hessian", TypeError, "hess returned must be real"),
        ({"hvp": lambda x, v: 1.0}, "hvp", ValueError, r"hvp returned has shape \(\); expected"),
    ],
)
def test_bad_outputs(
    given: dict[str, Any], call: str, error: type[Exception], message: str
) -> None:
    f = Function(**{"f": optimize.rosen, "n_params": 2, **given})
    with pytest.raises(error, match=message):
        getattr(f, call)(X, X) if call == "hvp" else getattr(f, call)(X)


def test_losses_that_are_not_finite_are_told() -> None:
    f = Function(lambda x: -np.inf if x[0] > 1 else x[0] + x[1], n_params=2)
    with pytest.warns(RuntimeWarning, match=r"loss is -inf at phi = \[2. 3.\]: unbounded"):
        f.loss([2, 3])
    with pytest.warns(RuntimeWarning, match=r"loss is nan: parameter 1 is nan"):
        f.loss([0, np.nan])


# ---- in minimize ---------------------------------------------------------------------------------


def rosen_with_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
    return optimize.rosen(x), optimize.rosen_der(x)


@pytest.mark.parametrize(
    ("f", "derivatives"),
    [
        (optimize.rosen, {}),
        (optimize.rosen, {"jac": optimize.rosen_der}),
        (rosen_with_slope, {"jac": True}),
        (optimize.rosen, {"jac": optimize.rosen_der, "hess": optimize.rosen_hess}),
        (optimize.rosen, {"jac": optimize.rosen_der, "hessp": optimize.rosen_hess_prod}),
    ],
)
def test_minimize_takes_plain_functions_as_scipy_does(f: Any, derivatives: dict[str, Any]) -> None:
    x0 = [1.3, 0.7, 0.8, 1.9, 1.2]
    res = fl.minimize(f, x0, **derivatives)
    theirs = optimize.minimize(f, x0, jac=derivatives.get("jac"))
    assert np.allclose(res.x, theirs.x, atol=2e-5)
    assert isinstance(res.optimizer, fl.LBFGS)
    assert ("gradient by central differences" in res.message) == ("jac" not in derivatives)
    newton = fl.minimize(f, x0, fl.Newton(trust_region="auto"), **derivatives)
    assert np.allclose(newton.x, 1, atol=1e-5)
    adam = fl.minimize(f, x0, fl.Adam, lr=0.1, steps=5, **derivatives)
    own = fl.minimize(
        Function(f, derivatives.get("jac"), x0=x0), optimizer=fl.Adam, lr=0.1, steps=5
    )
    assert np.array_equal(adam.x, own.x)


def test_starts_of_plain_functions() -> None:
    assert fl.minimize(lambda x: (x[0] - 3) ** 2, 0.0).x == pytest.approx([3])
    x = np.array([1.0, 2.0])
    res = fl.minimize(optimize.rosen, None, fl.SGD(x, lr=1e-4), steps=3)
    assert res.nit == 3
    assert res.x[0] == x[0] != 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"objective": 3}, TypeError, "objective must be one of .* or a function .* not 3"),
        ({"objective": fl.objectives.MLP}, TypeError, "objective must be .* not <class"),
        ({"x0": None}, TypeError, "x0 is missing: a function does not tell where to start"),
        ({"x0": [[1.0, 2.0]]}, ValueError, r"x0 has shape \(1, 2\)"),
        ({"x0": [np.nan, 2.0]}, ValueError, r"x0\[0\] is nan"),
        ({"jac": "2-point"}, TypeError, "jac must be callable, not '2-point'"),
        ({"hess": 3}, TypeError, "hess must be callable, not 3"),
        ({"hessp": True}, TypeError, "hessp must be callable, not True"),
        ({"args": (1,)}, TypeError, "'args' is neither an argument of minimize nor"),
        (
            {"objective": fl.objectives.surfaces.Saddle(), "jac": abs},
            ValueError,
            r"jac=<built-in function abs> with Saddle\(2 parameters\), which has its own",
        ),
    ],
)
def test_bad_plain_functions(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fl.minimize(**{"objective": optimize.rosen, "x0": [1.0, 2.0], **arguments})
