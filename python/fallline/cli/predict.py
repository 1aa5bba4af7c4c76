"""``fallline predict``."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from .. import serialization
from .._types import Array
from ..datasets import Dataset
from ..datasets._load import FORMATS
from ..fitting.data import Source, read_new
from ..fitting.files import load_model
from ..fitting.model import Model
from .fit import DATA_HELP, FAILURES
from .options import check_folder, choice, column, failing
from .screen import words_of

__all__ = ["predict"]

SHOWN = 10  # predictions on a terminal


def predict(
    model: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="What fit wrote with --out.")
    ],
    data: Annotated[
        Path, typer.Argument(exists=True, help=f"{DATA_HELP} With or without targets.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to: .csv or .npy; by default they are printed."),
    ] = None,
    proba: Annotated[
        bool, typer.Option("--proba", help="The probability of each class, too.")
    ] = False,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="By default as in the fit.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(callback=choice(FORMATS), metavar="NAME", help="As for fit.")
    ] = None,
) -> None:
    """Predict the targets of samples by a model, and say how good that is where they are known.

    A folder's test part is taken, if it has one. Scores go to standard error where predictions
    are printed.
    """
    if out is not None:
        if out.suffix.lower() not in (".csv", ".npy"):
            raise typer.BadParameter(f"{str(out)!r} must end in .csv or .npy", param_hint="--out")
        check_folder(out, "--out")
    with failing(*FAILURES):
        fitted = load_model(model)
        wanted = fitted.settings.get("target") if target is None else column(target)
        source = Source(data, wanted, format, fitted.phi.dtype)
        samples = read_new(source, fitted.form.features, fitted.feature_names)
        z = fitted.outputs(samples.X)
        if proba and fitted.labels is None:
            raise typer.BadParameter("the model is of a regression", param_hint="--proba")
        if out is None:
            _print(fitted, z, proba)
        else:
            _write(out, fitted, z, proba)
            typer.echo(f"{len(z):,} predictions written to {out}")
        typer.echo(_score(fitted, samples, z), err=out is None)


def _columns(model: Model, z: Array, proba: bool) -> tuple[list[str], list[Array]]:
    """Names, and the values of all samples."""
    found = model.decide(z)
    if found.ndim == 2:
        return [f"prediction {k}" for k in range(found.shape[1])], list(found.T)
    names, columns = ["prediction"], [found]
    if proba:
        names += map(str, model.classes or ())
        columns += list(model.probabilities(z).T)
    return names, columns


def _print(model: Model, z: Array, proba: bool) -> None:
    """All of them where others read, the first where a person does."""
    names, columns = _columns(model, z, proba)
    shown = min(SHOWN, len(z)) if sys.stdout.isatty() else len(z)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*(column[:shown].tolist() for column in columns), strict=True))
    sys.stdout.flush()  # before the score, which goes elsewhere
    if shown < len(z):
        typer.echo(f"… {len(z) - shown:,} more: --out FILE writes all")


def _write(path: Path, model: Model, z: Array, proba: bool) -> None:
    """As a table, or as an array: of predictions, or of probabilities if they are asked for."""
    if path.suffix.lower() == ".npy":
        array = model.probabilities(z) if proba else model.decide(z)

        def write(name: str) -> None:
            with open(name, "wb") as file:
                np.save(file, array)
    else:
        names, columns = _columns(model, z, proba)

        def write(name: str) -> None:
            with open(name, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(names)
                writer.writerows(zip(*(column.tolist() for column in columns), strict=True))

    serialization.replace(path, write)


def _score(model: Model, samples: Dataset, z: Array) -> str:
    """How good predictions are, in words."""
    if samples.y.shape[1:] == (0,):
        return "no targets to compare with"
    if model.labels is None:
        if samples.classes or samples.y.shape[1:] != model.form.targets:
            return "not scored: the targets are of another kind than the model's"
        return ", ".join(f"{k} {v}" for k, v in words_of(model.form.score(z, samples.y)).items())
    known = model.labels.index(samples)
    text = f"accuracy {np.mean(model.choose(z) == known):.2%}"
    if strange := int((known < 0).sum()):
        text += f"; {strange:,} labels are none of the model's and count as missed"
    return text
