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
from ..storage import STORAGE as _STORAGE  # noqa: E402
from ._modes import Lookahead as _Lookahead  # noqa: E402
from ._modes import ScheduleFree as _ScheduleFree  # noqa: E402
from ._optimizer import Optimizer as Optimizer  # noqa: E402
from ._signatures import TORCHS as _TORCHS  # noqa: E402
from ._signatures import hyperparameters as _hyperparameters  # noqa: E402
from ._signatures import signature_of as _signature_of  # noqa: E402


def _adapted(rule: type[_Rule]) -> type[Optimizer]:
    """The class of a rule."""
    signature = _signature_of(rule)
    options = [_TORCHS.get(name, name) for name in (*_hyperparameters(rule), *_STORAGE)]
    separate = getattr(rule, "decoupled", None) is False
    if separate and "decoupled_weight_decay" in signature.parameters:
        options.append("decoupled_weight_decay")
    members: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": _documentation(rule),
        "__signature__": signature,
        "rule": rule,
        "signature": signature,
        "_names": tuple(options),
        "decoupled": _rules.optimizers()[f"{rule.__name__}W"] if separate else None,
    }
    return type(rule.__name__, (_base(rule),), members)


def _base(rule: type[_Rule]) -> type[Optimizer]:
    """The adapter with the methods that a rule has beside step()."""
    if hasattr(rule, "lookahead"):
        return _Lookahead
    return _ScheduleFree if hasattr(rule, "eval") else Optimizer


def _documentation(rule: type[_Rule]) -> str:
    name = rule.__name__
    return (
        f"{name} for torch: parameters are tensors, gradients their ``grad``.\n\n"
        f"Formula and hyperparameters are those of :class:`fallline.{name}`; everything else is "
        "as in ``torch.optim``."
    )


for _name, _rule in _rules.optimizers().items():
    globals()[_name] = _adapted(_rule)


class SparseAdam(globals()["Adam"]):  # type: ignore[misc]
    """Adam on the rows of sparse gradients alone, as ``torch.optim.SparseAdam``."""

    signature = __signature__ = _signature_of(_rules.optimizers()["Adam"], "SparseAdam")
    _names = ("lr", "betas", "eps", "maximize", *_STORAGE)
    fixed = {"weight_decay": 0.0, "amsgrad": False, "eps_hat": True}  # noqa: RUF012
    only_rows = True


MORE = ("SparseAdam",)  # beside the registered rules

__all__ = [*_rules.optimizers(), *MORE, "Optimizer"]
