"""A fit in numbers, and as a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from .. import plot
from .._extras import require
from .model import Score
from .train import Fit

__all__ = ["as_dict", "save_plot"]

MARKED = 20  # epochs up to which each is marked: a single one would be no line


def as_dict(fit: Fit) -> dict[str, Any]:
    """All that is known of a fit, as JSON can hold it."""
    form = fit.model.form
    return {
        "model": {
            "kind": form.kind,
            "widths": [form.features, *form.hidden, form.outputs],
            "parameters": fit.model.phi.size,
            "dtype": str(fit.model.phi.dtype),
            "classes": fit.model.classes,
        },
        "message": fit.result.message,
        "steps": fit.steps,
        "seconds": fit.seconds,
        "scores": {part: _known(score) for part, score in fit.scores.items()},
        "epochs": [
            {
                "epoch": epoch.number,
                "loss": epoch.loss,
                "seconds": epoch.seconds,
                **({} if epoch.validation is None else {"validation": _known(epoch.validation)}),
            }
            for epoch in fit.epochs
        ],
        "settings": fit.model.settings,
    }


def _known(score: Score) -> dict[str, float | None]:
    """Without what does not apply; R² is None where the targets do not vary."""
    found = {name: value for name, value in score._asdict().items() if value is not None}
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def save_plot(fit: Fit, path: Path) -> None:
    """Draw losses by epoch and, where classes are validated, accuracies."""
    curves, accuracies = _curves(fit)
    panels = 1 + bool(accuracies)
    figure = require("matplotlib.figure", extra="plot").Figure(
        (5.5 * panels + 1, 4.5), layout="constrained"
    )
    left, *right = figure.subplots(1, panels, squeeze=False)[0]
    unit = "mean squared error" if fit.model.labels is None else "cross-entropy"
    plot.history(curves, ax=left, xlabel="epoch", ylabel=unit)
    for axes in right:
        plot.history({"validation": accuracies}, ax=axes, xlabel="epoch", ylabel="accuracy")
        axes.get_lines()[0].set_color(left.get_lines()[1].get_color())
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:.4g}")
    for axes in (left, *right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(fit.epochs) <= MARKED:
            for line in axes.get_lines():
                line.set(marker="o", markersize=4, clip_on=False)
    settings = fit.model.settings
    form = fit.model.form
    widths = "-".join(map(str, (form.features, *form.hidden, form.outputs)))
    figure.suptitle(f"{form.kind} {widths}, {settings['optimizer']}")
    figure.savefig(path, dpi=150)


def _curves(fit: Fit) -> tuple[dict[str, list[float]], list[float]]:
    """Losses from epoch 0 on, NaN where unknown, and validation accuracies."""
    last = max((epoch.number for epoch in fit.epochs), default=0)
    blank = [math.nan] * (last + 1)
    train, validation, accuracy = blank.copy(), blank.copy(), blank.copy()
    unit = fit.model.scaling.target_scale if fit.model.scaling is not None else 1.0
    train[1:] = [unit**2 * loss for loss in fit.result.history_epoch[:last]]
    scores = {0: fit.start} | {epoch.number: epoch.validation for epoch in fit.epochs}
    for number, score in scores.items():
        if score is not None:
            validation[number] = score.loss
            accuracy[number] = math.nan if score.accuracy is None else score.accuracy
    curves = {"training": train}
    if "validation" in fit.scores:
        curves["validation"] = validation
    return curves, [] if all(map(math.isnan, accuracy)) else accuracy
