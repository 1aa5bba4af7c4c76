"""The drop-in for ``torch.optim``: every optimizer of :func:`fallline.optimizers`, on tensors.

>>> import torch, fallline.torch as flt
>>> model = torch.nn.Linear(3, 1)
>>> opt = flt.AdamW(model.parameters(), lr=1e-3)
>>> model(torch.ones(2, 3)).sum().backward()
>>> opt.step()
"""

from __future__ import annotations

from typing import Any

from .. import _extras

_extras.require("torch", extra="torch")

from .. import rules as _rules  # noqa: E402
from ..optimizer import Optimizer as _Rule  # noqa: E402
from ._optimizer import Optimizer as Optimizer  # noqa: E402
from ._signatures import TORCHS as _TORCHS  # noqa: E402
from ._signatures import hyperparameters as _hyperparameters  # noqa: E402
from ._signatures import signature_of as _signature_of  # noqa: E402


def _adapted(rule: type[_Rule]) -> type[Optimizer]:
    """The class of a rule."""
    signature = _signature_of(rule)
    options = [_TORCHS.get(name, name) for name in _hyperparameters(rule)]
    separate = getattr(rule, "decoupled", None) is False
    if separate and "decoupled_weight_decay" in signature.parameters:
        options.append("decoupled_weight_decay")
    members: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": _documentation(rule),
        "__signature__": signature,
        "rule": rule,
        "signature": signature,
        "_names": options,
        "decoupled": _rules.optimizers()[f"{rule.__name__}W"] if separate else None,
    }
    return type(rule.__name__, (Optimizer,), members)


def _documentation(rule: type[_Rule]) -> str:
    name = rule.__name__
    return (
        f"{name} for torch: parameters are tensors, gradients their ``grad``.\n\n"
        f"Formula and hyperparameters are those of :class:`fallline.{name}`; everything else is "
        "as in ``torch.optim``."
    )


for _name, _rule in _rules.optimizers().items():
    globals()[_name] = _adapted(_rule)

__all__ = [*_rules.optimizers(), "Optimizer"]  # noqa: PLE0604
