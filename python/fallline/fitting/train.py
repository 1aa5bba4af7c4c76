"""Fitting a model to data, with parts held out to see how good it is."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .. import serialization
from .._types import Array
from ..datasets import Dataset
from ..loop.history import Epochs
from ..loop.result import Result, Status
from ..loop.saving import FORMAT
from ..minimize import minimize
from ..objectives._blas import unthreaded
from .data import dense, split_off
from .model import Form, Model, Score
from .recipe import Recipe
from .scaling import Scaling
from .targets import Classes, losses_of

__all__ = ["DivergedError", "Epoch", "Fit", "Part", "Problem", "fit"]


class DivergedError(RuntimeError):
    """The fit has diverged; the message says where, and what to try."""


class Part(NamedTuple):
    """Samples as the model sees them: standardised, if they are to be; classes by index."""

    X: Any
    y: Array


class Epoch(NamedTuple):
    """What is known after an epoch; the loss is the mean over its batches, as they were met."""

    number: int
    loss: float
    validation: Score | None
    seconds: float  # of this run so far, without validation


@dataclass
class Fit:
    """A model that has been fitted, and how that went."""

    model: Model
    result: Result
    scores: dict[str, Score]  # of the parts: train, validation, test
    epochs: list[Epoch]
    steps: int  # taken in this run
    seconds: float  # that they took, validation not counted

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return bool(self.result.status == Status.INTERRUPTED)


class Problem:
    """Data, in parts and as a model sees it, with the objective to minimize.

    Raises
    ------
    ValueError
        The targets do not suit the model, or the test part not the rest.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Dataset,
        test: Dataset | None = None,
        *,
        target: int | str | None = None,
    ) -> None:
        self.recipe = recipe
        self.target = target  # where the targets are, for files to come
        kind, loss = losses_of(data, recipe.kind, recipe.task)
        self.classes = None if loss == "squared" else Classes.of(data)
        self.feature_names = data.feature_names
        parts = {"train": data}
        if recipe.val:
            stratify = self.classes is not None
            left, out = split_off(data, recipe.val, recipe.seed, stratify)
            parts = {"train": left, "validation": out}
        if test is not None:
            parts["test"] = test
        if recipe.standardize or kind == "mlp":
            why = "model mlp" if kind == "mlp" else "standardizing"
            parts = {name: replace(part, X=dense(part.X, why)) for name, part in parts.items()}
        targets = {name: self._targets(name, part) for name, part in parts.items()}
        self.scaling = self._scaling(parts["train"].X, targets["train"])
        self.parts = {
            name: self._scaled(part.X, y)
            for (name, part), y in zip(parts.items(), targets.values(), strict=True)
        }
        X, y = self.parts["train"]
        shape = y.shape[1:] if self.classes is None else (len(self.classes),)
        layers = (recipe.hidden, recipe.activation) if kind == "mlp" else ()
        self.form = Form(kind, loss, X.shape[1], shape, *layers)
        self.objective: Any = self.form.objective(X, y, l2=recipe.l2, backend=recipe.backend)

    def _targets(self, name: str, data: Dataset) -> Array:
        """Numbers, or class indices."""
        if self.classes is None:
            if data.classes:
                raise ValueError(f"the targets of the {name} part are words; expected numbers")
            return data.y
        indices = self.classes.index(data)
        if (indices < 0).any():
            strange = data.y[int(np.argmin(indices))]
            label = data.classes[int(strange)] if data.classes else strange
            raise ValueError(f"label {label!s} of the {name} part is none of the training part's")
        return indices

    def _scaling(self, X: Any, y: Array) -> Scaling | None:
        if not self.recipe.standardize:
            return None
        return Scaling.of(X, y if self.classes is None else None)

    def _scaled(self, X: Any, y: Array) -> Part:
        if self.scaling is None:
            return Part(X, y)
        X = self.scaling.features(X)
        return Part(X, self.scaling.targets(y) if self.classes is None else y)

    @property
    def unit(self) -> float:
        """Of the targets, as the objective sees them."""
        return 1.0 if self.scaling is None else self.scaling.target_scale

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch."""
        size = self.recipe.batch_size
        return 1 if size is None else -(-self.objective.n_samples // size)

    def score(self, part: str, phi: Array) -> Score | None:
        """How well the parameters do on a part, if there is such a part."""
        if part not in self.parts:
            return None
        X, y = self.parts[part]
        small = self.form.kind != "mlp"  # of whose products another thread is worth its spinning
        with unthreaded() if small else nullcontext():
            z = self.objective.outputs(phi, None if part == "train" else X)
        return self.form.score(z, y, self.unit)


@dataclass
class _Watch:
    """Follows a fit from epoch to epoch."""

    problem: Problem
    tell: Callable[[Epoch], object]
    epochs: list[Epoch] = field(default_factory=list)
    begin: float = field(default_factory=perf_counter)
    validating: float = 0.0  # seconds

    def __post_init__(self) -> None:
        n = self.problem.objective.n_samples
        self._epochs = Epochs(n, self.problem.recipe.batch_size or n, "mean")

    @property
    def seconds(self) -> float:
        """So far, without validation."""
        return perf_counter() - self.begin - self.validating

    def __call__(self, now: Result) -> None:
        seconds, before = self.seconds, perf_counter()
        loss = float(self._epochs.losses(now.history[-len(self._epochs) :])[0])
        validation = self.problem.score("validation", now.x)
        epoch = Epoch(now.nepoch, loss * self.problem.unit**2, validation, seconds)
        self.epochs.append(epoch)
        self.tell(epoch)
        self.validating += perf_counter() - before


def fit(
    problem: Problem,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool | None = False,
    tell: Callable[[Epoch], object] = lambda _: None,
) -> Fit:
    """Minimize, tell of each epoch, and score all parts.

    Ctrl-C ends it after the step under way; what has been reached is returned.

    Raises
    ------
    DivergedError
        It has diverged.
    ValueError
        The checkpoint is of another fit.
    """
    recipe, objective = problem.recipe, problem.objective
    done = _steps_in(checkpoint) if resume else 0
    watch = _Watch(problem, tell)
    result = minimize(
        objective,
        optimizer=recipe.optimizer,
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        seed=recipe.seed,
        max_norm=recipe.max_norm,
        callback=watch,
        checkpoint=checkpoint,
        resume=resume or None,
        progress=progress,
        final_loss=False,  # the scores below say more
        **recipe.arguments(problem.steps_per_epoch),
    )
    seconds = watch.seconds
    if result.status == Status.DIVERGED:
        raise DivergedError(result.message)
    with np.errstate(all="ignore"):
        scores = {name: problem.score(name, result.x) for name in problem.parts}
    found = {name: score for name, score in scores.items() if score is not None}
    if not math.isfinite(found["train"].loss):
        raise DivergedError(
            f"diverged at the last of {result.nit:,} steps: the loss is {found['train'].loss}. "
            "Try a smaller lr"
        )
    settings = recipe.settings() | {
        "target": problem.target,
        "steps_done": result.nit,
        "epochs_done": result.nepoch,
    }
    model = Model(
        problem.form, result.x, problem.classes, problem.scaling, problem.feature_names, settings
    )
    return Fit(model, result, found, watch.epochs, result.nit - done, seconds)


def _steps_in(checkpoint: str | os.PathLike[str] | None) -> int:
    """Steps that a checkpoint's fit has taken; 0 where there is none yet."""
    if checkpoint is None or not os.path.exists(checkpoint):
        return 0
    return int(serialization.read(checkpoint, FORMAT, "fallline.minimize")[1]["steps"])
