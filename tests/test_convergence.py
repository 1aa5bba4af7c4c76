"""The contract of every optimizer: it finds the bottom of a parabola and of Rosenbrock's valley."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest

import fallline as fl

# Learning rates that suit the method's units: how far it moves is what differs between them.
LR = {
    "SGD": (0.1, 1e-3),
    "Momentum": (0.1, 1e-3),
    "HeavyBall": (0.02, 2e-4),
    "NesterovMomentum": (0.1, 1e-3),
    "Adagrad": (1.0, 0.5),
    "Adadelta": (5.0, 5.0),
    "ASGD": (0.1, 1e-3),
    "ScheduleFreeSGD": (0.2, 2e-3),
    "RAdam": (0.05, 2e-3),  # its first steps are unscaled
    "SWATS": (0.05, 0.01),
}
STEPS = 4000


def learning_rate(name: str, which: int) -> float | fl.schedules.Schedule:
    lr = LR[name][which] if name in LR else 0.05
    # Methods whose step does not shrink with the gradient need a rate that falls.
    falling = ("NormalizedGradient", "Lion", "Signum", "RMSprop", "Yogi")
    return fl.schedules.Polynomial(lr, STEPS) if name in falling else lr


def minimize(name: str, x: np.ndarray, gradient, which: int) -> np.ndarray:
    opt = fl.optimizers()[name](x, lr=learning_rate(name, which))
    ahead = getattr(opt, "lookahead", nullcontext)
    for _ in range(STEPS):
        context: AbstractContextManager[None] = ahead()
        with context:
            g = gradient(x)
        opt.step(g)
    if hasattr(opt, "eval"):
        opt.eval()
    return x


@pytest.mark.parametrize("name", fl.optimizers())
def test_parabola(name: str) -> None:
    curvature = np.array([1.0, 4.0, 0.5])
    centre = np.array([1.0, -2.0, 0.5])
    x = minimize(name, np.zeros(3), lambda x: curvature * (x - centre), 0)
    np.testing.assert_allclose(x, centre, atol=0.01)


@pytest.mark.parametrize("name", fl.optimizers())
def test_rosenbrock(name: str) -> None:
    def loss(x: np.ndarray) -> float:
        return float((1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2)

    def gradient(x: np.ndarray) -> np.ndarray:
        valley = x[1] - x[0] ** 2
        return np.array([-2 * (1 - x[0]) - 400 * x[0] * valley, 200 * valley])

    x = minimize(name, np.array([-0.5, 1.0]), gradient, 1)
    assert loss(x) < 0.05 * loss(np.array([-0.5, 1.0]))
