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
    axes = figure.subplots(1, panels, squeeze=False)[0]
    unit = "mean squared error" if fit.model.labels is None else "cross-entropy"
    plot.history(curves, ax=axes[0], xlabel="epoch", ylabel=unit)
    if accuracies:
        plot.history(accuracies, ax=axes[1], xlabel="epoch", ylabel="validation accuracy")
        axes[1].get_lines()[0].set_color(axes[0].get_lines()[-1].get_color())
    for ax in axes:
        ax.xaxis.get_major_locator().set_params(integer=True)
        if len(fit.epochs) <= MARKED:
            for line in ax.get_lines():
                line.set(marker="o", markersize=4, clip_on=False)
    form = fit.model.form
    widths = "-".join(map(str, (form.features, *form.hidden, form.outputs)))
    figure.suptitle(f"{form.kind} {widths}, {fit.model.settings['optimizer']}")
    figure.savefig(path, dpi=150)


def _curves(fit: Fit) -> tuple[dict[str, list[float]], list[float]]:
    """Losses and validation accuracies by epoch, the first at 1; NaN where unknown."""
    last = fit.result.nepoch
    train, validation, accuracy = ([math.nan] * (last + 1) for _ in range(3))
    unit = 1.0 if fit.model.scaling is None else fit.model.scaling.target_scale
    train[1:] = [unit**2 * loss for loss in fit.result.history_epoch]
    for epoch in fit.epochs:
        if epoch.validation is not None:
            validation[epoch.number] = epoch.validation.loss
            accuracy[epoch.number] = epoch.validation.accuracy or math.nan
    curves = {"training": train}
    if "validation" not in fit.scores:
        return curves, []
    return curves | {"validation": validation}, accuracy if fit.model.labels else []
