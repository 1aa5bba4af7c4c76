"""What each class is called with: torch's signature where torch has the rule, and our options."""

from __future__ import annotations

from inspect import Parameter, Signature, signature
from typing import Any

import torch

from ..optimizer import Optimizer as Rule
from ..storage import STORAGE

TORCHS = {"decoupled": "decoupled_weight_decay"}  # our names that differ from torch's

# What selects an implementation in torch, and its value where torch leaves it open.
FLAGS = {"foreach": None, "fused": None, "capturable": False, "differentiable": False}

# What the adapter has beside hyperparameters.
OWN = {"backend": None}


def hyperparameters(rule: type[Rule]) -> dict[str, Any]:
    """A rule's own, with their defaults, in its order."""
    found = signature(rule.__init__).parameters
    return {
        name: parameter.default
        for name, parameter in found.items()
        if name not in ("self", "params", "backend", "storage")
    }


def theirs(name: str) -> Signature | None:
    """The signature of torch's optimizer of this name, without ``self``."""
    cls = getattr(torch.optim, name, None)
    if cls is None:
        return None
    found = signature(cls.__init__)
    return found.replace(parameters=list(found.parameters.values())[1:])


def signature_of(rule: type[Rule], name: str = "") -> Signature:
    """The adapter's: torch's, then the options that torch does not have, by keyword.

    `name` is that of a torch optimizer that is a form of the rule, without the rule's options.
    """
    known = theirs(name or rule.__name__) or _ours(rule)
    parameters = [p.replace(annotation=Parameter.empty) for p in known.parameters.values()]
    taken = {p.name for p in parameters}
    options = {} if name else {TORCHS.get(k, k): v for k, v in hyperparameters(rule).items()}
    for name, default in {**options, **FLAGS, **STORAGE, **OWN}.items():
        if name not in taken:
            parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default))
    return Signature(parameters)


def _ours(rule: type[Rule]) -> Signature:
    found = signature(rule.__init__)
    return found.replace(
        parameters=[
            p for p in found.parameters.values() if p.name not in ("self", "backend", "storage")
        ]
    )


def check_flags(name: str, given: dict[str, Any]) -> None:
    """Refuse what would be something else than a step outside autograd on the CPU."""
    for flag, why in (
        ("differentiable", "the step is not recorded by autograd"),
        ("capturable", "there is no graph to capture on the CPU"),
    ):
        if given.get(flag):
            raise RuntimeError(
                f"{flag}=True is not something that fallline.torch.{name} can do: {why}; "
                f"use torch.optim.{name}"
            )
    if given.get("foreach") and given.get("fused"):
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    betas = [isinstance(beta, torch.Tensor) for beta in given.get("betas", ())]
    if any(betas) and not all(betas):
        raise ValueError(f"betas must be either all floats or all Tensors, not {given['betas']}")
    # We could; a program that torch refuses should not depend on whose optimizer it runs.
    if given.get("foreach") and (any(betas) or isinstance(given.get("lr"), torch.Tensor)):
        raise ValueError("lr or betas as a Tensor is not supported for foreach=True")
