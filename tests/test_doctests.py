"""The examples in the docstrings run, and every public name has one."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

import fallline as fl

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(fl.__path__, "fallline.")
    if module.name.rpartition(".")[2] not in ("__main__", "_core")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    if name.endswith("numba") and find_spec("numba") is None:
        pytest.skip("needs numba")
    with np.printoptions():
        result = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize(
    "name", sorted(n for n in dir(fl) if not n.startswith("_") and n != "annotations")
)
def test_public_names_are_documented(name: str) -> None:
    assert getattr(fl, name).__doc__, name


@pytest.mark.parametrize("name", fl.optimizers())
def test_optimizers_are_documented(name: str) -> None:
    text = fl.optimizers()[name].__doc__ or ""
    for part in (".. math::", "When to use: ", "Examples\n", "References\n"):
        assert part in text, part
