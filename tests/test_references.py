"""Rules that torch lacks, against plain float64 transcriptions of the papers or authors' code.

Each reference is written as its source presents it, without a look at our formulas: a generator
that takes the start, ``gradient(t, x)`` and the hyperparameters, with the published defaults, and
yields the parameters after steps t = 1, 2, ….
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import count
from typing import Any, TypeAlias

import numpy as np
import pytest

import fallline as fl
from cases import CASES, Case

Gradient: TypeAlias = Callable[[int, np.ndarray], np.ndarray]
Reference: TypeAlias = Callable[..., Iterator[np.ndarray]]

REFERENCES: dict[str, Reference] = {}


def reference(name: str) -> Callable[[Reference], Reference]:
    def register(function: Reference) -> Reference:
        REFERENCES[name] = function
        return function

    return register


@reference("Momentum")
def momentum(
    x: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-3,
    beta: float = 0.9,
    weight_decay: float = 0.0,
) -> Iterator[np.ndarray]:
    """Prince 2023, equation 6.11."""
    m = np.zeros_like(x)
    for t in count(1):
        m = beta * m + (1 - beta) * (gradient(t, x) + weight_decay * x)
        x = x - lr * m
        yield x


@reference("HeavyBall")
def heavy_ball(
    x: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-3,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
) -> Iterator[np.ndarray]:
    """Polyak 1964: the difference of the last two iterates in the velocity's place."""
    before = x
    for t in count(1):
        g = gradient(t, x) + weight_decay * x
        x, before = x - lr * g + momentum * (x - before), x
        yield x


@reference("NesterovMomentum")
def nesterov_momentum(
    x: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-3,
    beta: float = 0.9,
    weight_decay: float = 0.0,
) -> Iterator[np.ndarray]:
    """Prince 2023, equation 6.12."""
    m = np.zeros_like(x)
    for t in count(1):
        ahead = x - lr * beta * m
        m = beta * m + (1 - beta) * (gradient(t, ahead) + weight_decay * ahead)
        x = x - lr * m
        yield x


@reference("NormalizedGradient")
def normalized_gradient(
    x: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-3,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Iterator[np.ndarray]:
    """Prince 2023, equations 6.13 and 6.14."""
    for t in count(1):
        m = gradient(t, x) + weight_decay * x
        v = m**2
        x = x - lr * m / (np.sqrt(v) + eps)
        yield x


@reference("Adagrad")
def adagrad(
    x: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    accumulate: str = "sum",
) -> Iterator[np.ndarray]:
    """Duchi et al. 2011, with torch's rate; or with the mean of all squares so far."""
    squares = [np.full_like(x, initial_accumulator_value)]
    for t in count(1):
        g = gradient(t, x) + weight_decay * x
        squares.append(g**2)
        total = np.sum(squares, axis=0)
        scale = total / t if accumulate == "mean" else total
        x = x - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(scale) + eps)
        yield x


@reference("RMSprop")
def rmsprop(
    x: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    initial: str = "zero",
    eps_inside: bool = False,
) -> Iterator[np.ndarray]:
    """Tieleman & Hinton 2012; Graves 2013, equations 38 to 45."""
    v, mean, velocity = None, np.zeros_like(x), np.zeros_like(x)
    for t in count(1):
        g = gradient(t, x) + weight_decay * x
        if v is None:
            v = g**2 if initial == "gradient" else np.zeros_like(x)
        v = alpha * v + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        variance = v - mean**2 if centered else v
        denominator = np.sqrt(variance + eps) if eps_inside else np.sqrt(variance) + eps
        velocity = momentum * velocity + g / denominator
        x = x - lr * velocity
        yield x


@reference("Yogi")
def yogi(
    x: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-2,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-3,
    weight_decay: float = 0.0,
    initial_accumulator: float = 1e-6,
) -> Iterator[np.ndarray]:
    """Zaheer et al. 2018, algorithm 2, with the start and the bias corrections of optax."""
    beta1, beta2 = betas
    m = np.full_like(x, initial_accumulator)
    v = np.full_like(x, initial_accumulator)
    for t in count(1):
        g = gradient(t, x) + weight_decay * x
        m = beta1 * m + (1 - beta1) * g
        v = v - (1 - beta2) * np.sign(v - g**2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        x = x - lr * m_hat / (np.sqrt(v_hat) + eps)
        yield x


@reference("Lion")
def lion(
    x: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-4,
    betas: tuple[float, float] = (0.9, 0.99),
    weight_decay: float = 0.0,
) -> Iterator[np.ndarray]:
    """Chen et al. 2023, algorithm 2."""
    beta1, beta2 = betas
    m = np.zeros_like(x)
    for t in count(1):
        g = gradient(t, x)
        c = beta1 * m + (1 - beta1) * g
        x = x - lr * (np.sign(c) + weight_decay * x)
        m = beta2 * m + (1 - beta2) * g
        yield x


@reference("Signum")
def signum(
    x: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-4,
    beta: float = 0.9,
    weight_decay: float = 0.0,
) -> Iterator[np.ndarray]:
    """Bernstein et al. 2018, algorithm 2 (algorithm 1 at β = 0)."""
    m = np.zeros_like(x)
    for t in count(1):
        m = beta * m + (1 - beta) * gradient(t, x)
        x = x - lr * (np.sign(m) + weight_decay * x)
        yield x


@reference("AdaBelief")
def adabelief(
    x: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-16,
    weight_decay: float = 0.0,
    decoupled: bool = True,
    amsgrad: bool | str = False,
) -> Iterator[np.ndarray]:
    """Zhuang et al. 2020, algorithm 2; decay and amsgrad as in adabelief-pytorch 0.2.0."""
    beta1, beta2 = betas
    m, s = np.zeros_like(x), np.zeros_like(x)
    largest = np.zeros_like(x)
    for t in count(1):
        g = gradient(t, x)
        if decoupled:
            x = x * (1 - lr * weight_decay)
        else:
            g = g + weight_decay * x
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * (g - m) ** 2 + eps
        m_hat = m / (1 - beta1**t)
        s_hat = s / (1 - beta2**t)
        if amsgrad == "corrected":
            s_hat = largest = np.maximum(largest, s_hat)
        elif amsgrad:
            largest = np.maximum(largest, s)
            s_hat = largest / (1 - beta2**t)
        x = x - lr * m_hat / (np.sqrt(s_hat) + eps)
        yield x


@reference("Adan")
def adan(
    x: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-3,
    betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Iterator[np.ndarray]:
    """Xie et al. 2022, in the conventions of the authors' code."""
    beta1, beta2, beta3 = betas
    m, diff, n = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    previous = None
    for t in count(1):
        g = gradient(t, x)
        if previous is None:
            previous = g
        m = beta1 * m + (1 - beta1) * g
        diff = beta2 * diff + (1 - beta2) * (g - previous)
        n = beta3 * n + (1 - beta3) * (g + beta2 * (g - previous)) ** 2
        denominator = np.sqrt(n) / np.sqrt(1 - beta3**t) + eps
        x = x - lr / (1 - beta1**t) * m / denominator
        x = x - lr * beta2 / (1 - beta2**t) * diff / denominator
        x = x / (1 + lr * weight_decay)
        previous = g
        yield x


@reference("AdEMAMix")
def ademamix(
    x: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-3,
    betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
    alpha: float = 5.0,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    alpha_warmup: int | None = None,
    beta3_warmup: int | None = None,
) -> Iterator[np.ndarray]:
    """Pagliardini et al. 2024, algorithm 1 and the schedulers of section 3."""
    beta1, beta2, beta3_end = betas
    m1, m2, nu = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for t in count(1):
        g = gradient(t, x)
        mix, beta3 = alpha, beta3_end
        if alpha_warmup is not None:
            mix = min(t * alpha / alpha_warmup, alpha)
        if beta3_warmup is not None:
            s, start, end = t / beta3_warmup, np.log(beta1), np.log(beta3_end)
            if s < 1:  # beyond, the formula turns back
                beta3 = min(np.exp(start * end / ((1 - s) * end + s * start)), beta3_end)
        m1 = beta1 * m1 + (1 - beta1) * g
        m2 = beta3 * m2 + (1 - beta3) * g
        nu = beta2 * nu + (1 - beta2) * g**2
        m1_hat, nu_hat = m1 / (1 - beta1**t), nu / (1 - beta2**t)
        x = x - lr * ((m1_hat + mix * m2) / (np.sqrt(nu_hat) + eps) + weight_decay * x)
        yield x


@reference("ScheduleFreeAdamW")
def schedule_free_adamw(
    y: np.ndarray,
    gradient: Gradient,
    lr: float = 0.0025,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    warmup_steps: int = 0,
    r: float = 0.0,
    weight_lr_power: float = 2.0,
) -> Iterator[np.ndarray]:
    """Defazio et al. 2024, algorithm 1, with all of x, y and z, and the authors' code's weights."""
    beta1, beta2 = betas
    x, z, v = y, y, np.zeros_like(y)
    weight_sum, lr_max = 0.0, -1.0
    for t in count(1):
        g = gradient(t, y)
        lr_t = lr * (t / warmup_steps if t <= warmup_steps else 1.0)
        lr_max = max(lr_t, lr_max)
        weight = t**r * lr_max**weight_lr_power
        weight_sum += weight
        c = weight / weight_sum
        v = beta2 * v + (1 - beta2) * g**2
        z = z - lr_t * g / (np.sqrt(v / (1 - beta2**t)) + eps) - lr_t * weight_decay * y
        x = (1 - c) * x + c * z
        y = (1 - beta1) * z + beta1 * x
        yield y


@reference("ScheduleFreeSGD")
def schedule_free_sgd(
    y: np.ndarray,
    gradient: Gradient,
    lr: float = 1.0,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    warmup_steps: int = 0,
    r: float = 0.0,
    weight_lr_power: float = 2.0,
) -> Iterator[np.ndarray]:
    """Defazio et al. 2024, equations 3 to 5, with the authors' code's weights."""
    x, z = y, y
    weight_sum, lr_max = 0.0, -1.0
    for t in count(1):
        g = gradient(t, y) + weight_decay * y
        lr_t = lr * (t / warmup_steps if t <= warmup_steps else 1.0)
        lr_max = max(lr_t, lr_max)
        weight = t**r * lr_max**weight_lr_power
        weight_sum += weight
        c = weight / weight_sum
        z = z - lr_t * g
        x = (1 - c) * x + c * z
        y = (1 - momentum) * z + momentum * x
        yield y


@reference("SWATS")
def swats(
    w: np.ndarray,
    gradient: Gradient,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-9,
    weight_decay: float = 0.0,
    tolerance: float | None = None,
) -> Iterator[np.ndarray]:
    """Keskar & Socher 2017, algorithm 1."""
    beta1, beta2 = betas
    tolerance = eps if tolerance is None else tolerance
    m, a, v, mean, final = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), 0.0, 0.0
    phase = "Adam"
    for k in count(1):
        g = gradient(k, w) + weight_decay * w
        if phase == "SGD":
            v = beta1 * v + g
            w = w - (1 - beta1) * final * v
            yield w
            continue
        m = beta1 * m + (1 - beta1) * g
        a = beta2 * a + (1 - beta2) * g**2
        p = -lr * np.sqrt(1 - beta2**k) / (1 - beta1**k) * m / (np.sqrt(a) + eps)
        w = w + p
        if p @ g != 0:
            gamma = (p @ p) / -(p @ g)
            mean = beta2 * mean + (1 - beta2) * gamma
            if k > 1 and abs(mean / (1 - beta2**k) - gamma) < tolerance:
                phase, final = "SGD", mean / (1 - beta2**k)
        yield w


# Beside the shared cases: other numbers, and options of which those have one or none.
MORE = (
    Case("Momentum", {"beta": 0.5}),
    Case("NesterovMomentum", {"beta": 0.99, "lr": 0.1}),
    Case("Adagrad", {"accumulate": "mean", "initial_accumulator_value": 0.3, "eps": 1e-3}),
    Case("RMSprop", {"alpha": 0.9, "eps": 1e-3, "eps_inside": True, "centered": True}),
    Case("RMSprop", {"initial": "gradient", "eps_inside": True, "momentum": 0.5, "alpha": 0.5}),
    Case("Yogi", {"betas": (0.8, 0.9), "eps": 1e-5, "initial_accumulator": 1.0}),
    Case("Lion", {"betas": (0.95, 0.98)}),
    Case("AdaBelief", {"betas": (0.8, 0.9), "eps": 1e-8, "amsgrad": "uncorrected"}),
    Case("Adan", {"betas": (0.9, 0.8, 0.95), "eps": 1e-3}),
    Case("AdEMAMix", {"betas": (0.8, 0.9, 0.95), "alpha": 2.0, "beta3_warmup": 200}),
    Case("AdEMAMix", {"alpha_warmup": 50}),
    Case("ScheduleFreeAdamW", {"betas": (0.95, 0.9), "r": 0.5, "weight_lr_power": 0.0}),
    Case("ScheduleFreeSGD", {"lr": 0.5, "momentum": 0.5, "warmup_steps": 30}),
    Case("SWATS", {"tolerance": 1e-4, "betas": (0.8, 0.99)}),
    Case("SWATS", {"lr": 0.1, "tolerance": 1e-3, "weight_decay": 0.1}),
)


@pytest.mark.parametrize(
    "case", [case for case in CASES + MORE if case.name in REFERENCES], ids=str
)
def test_trajectory_is_the_published_one(case: Case) -> None:
    rng = np.random.default_rng(7)
    start, noise = rng.standard_normal(53), rng.standard_normal((101, 53))

    def gradient(t: int, x: np.ndarray) -> np.ndarray:
        return noise[t] + 0.3 * x

    options: dict[str, Any] = {"lr": 0.01, **case.options}
    sign = -1 if options.pop("maximize", False) else 1
    expected = REFERENCES[case.name](start, lambda t, x: sign * gradient(t, x), **options)
    ours = start.copy()
    opt = case.make(ours)
    for t in range(1, 101):
        with getattr(opt, "lookahead", nullcontext)():
            g = gradient(t, ours)
        opt.step(g)
        np.testing.assert_allclose(ours, next(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", REFERENCES)
def test_defaults_are_the_published_ones(name: str) -> None:
    ours = np.ones(3)
    opt = fl.optimizers()[name](ours)
    expected = REFERENCES[name](np.ones(3), lambda t, x: x)
    for _ in range(5):
        with getattr(opt, "lookahead", nullcontext)():
            g = ours.copy()
        opt.step(g)
        np.testing.assert_allclose(ours, next(expected), rtol=1e-12, atol=1e-12)


def test_every_optimizer_has_an_outside_truth() -> None:
    torch = pytest.importorskip("torch")
    missing = {
        name
        for name in fl.optimizers()
        if name not in REFERENCES and not hasattr(torch.optim, name)
    }
    assert not missing
