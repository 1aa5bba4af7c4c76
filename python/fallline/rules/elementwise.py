"""What the library does to arrays beside optimizing, as formulas too (see elementwise.hpp)."""

from __future__ import annotations

from ..kernel import Array, choose, kernel, where

__all__ = ["accumulate", "clamp", "interpolate", "scale", "streams"]


@kernel(coefficients="factor")
def scale(p: Array, g: Array, c: Array) -> tuple[Array]:
    return (p * c.factor,)


@kernel(coefficients="low high")
def clamp(p: Array, g: Array, c: Array) -> tuple[Array]:
    return (where(p < c.low, c.low, where(p > c.high, c.high, p)),)


@kernel(coefficients="weight")
def interpolate(p: Array, g: Array, c: Array) -> tuple[Array]:
    return (p + c.weight * (g - p),)


@kernel(coefficients="first weight")
def accumulate(p: Array, g: Array, c: Array) -> tuple[Array]:
    term = c.weight * g
    return (choose(c.first, term, p + term),)


@kernel(coefficients="factor")
def stream0(p: Array, g: Array, c: Array) -> tuple[Array]:
    return (p + g,)


@kernel("a", coefficients="factor")
def stream1(p: Array, g: Array, a: Array, c: Array) -> tuple[Array, ...]:
    return p + g, a + g


@kernel("a", "b", coefficients="factor")
def stream2(p: Array, g: Array, a: Array, b: Array, c: Array) -> tuple[Array, ...]:
    return p + g, a + g, b + g


@kernel("a", "b", "d", coefficients="factor")
def stream3(p: Array, g: Array, a: Array, b: Array, d: Array, c: Array) -> tuple[Array, ...]:
    return p + g, a + g, b + g, d + g


@kernel("a", "b", "d", "e", coefficients="factor")
def stream4(
    p: Array, g: Array, a: Array, b: Array, d: Array, e: Array, c: Array
) -> tuple[Array, ...]:
    return p + g, a + g, b + g, d + g, e + g


streams = (stream0, stream1, stream2, stream3, stream4)  # by number of slots
