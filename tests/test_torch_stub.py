"""The stub that tells editors and type checkers of the classes made at run time.

``python tests/test_torch_stub.py`` writes it anew, after a rule or its options have changed.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

import fallline as fl

pytest.importorskip("torch")
import fallline.torch as flt

STUB = Path(flt.__file__).with_suffix(".pyi")

HEAD = '''"""Written by tests/test_torch_stub.py, from the registered rules."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from torch import Tensor

from ._modes import Lookahead, ScheduleFree
from ._optimizer import Optimizer as Optimizer

Params: TypeAlias = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]
'''

TYPES = {
    "params": "Params",
    "lr": "float | Tensor",
    "betas": "tuple[float | Tensor, ...]",
    "etas": "tuple[float, float]",
    "step_sizes": "tuple[float, float]",
    "amsgrad": "bool | str",
    "foreach": "bool | None",
    "fused": "bool | None",
    "backend": "str | None",
    "alpha_warmup": "int | None",
    "beta3_warmup": "int | None",
    "tolerance": "float | None",
    "seed": "int",
}


def annotation(name: str, default: Any) -> str:
    return TYPES.get(name) or (
        type(default).__name__ if isinstance(default, (bool, str)) else "float"
    )


def rendered() -> str:
    lines = [HEAD]
    for name in (*fl.optimizers(), *flt.MORE):
        base = getattr(flt, name).__mro__[1].__name__ if name not in flt.MORE else "Optimizer"
        lines += [f"class {name}({base}):", "    def __init__(", "        self,"]
        keyword_only = False
        for parameter in inspect.signature(getattr(flt, name)).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
                lines.append("        *,")
                keyword_only = True
            given = "" if parameter.default is parameter.empty else " = ..."
            kind = annotation(parameter.name, parameter.default)
            lines.append(f"        {parameter.name}: {kind}{given},")
        lines += ["    ) -> None: ...", ""]
    return "\n".join(lines)


def test_stub_is_that_of_the_rules() -> None:
    assert STUB.read_text() == rendered()


if __name__ == "__main__":
    sys.exit(STUB.write_text(rendered()) == 0)
