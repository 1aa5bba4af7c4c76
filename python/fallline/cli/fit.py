"""``fallline fit``: its options, and what is done in which order."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import threads
from .._extras import require
from ..backends import NAMES
from ..datasets._load import FORMATS
from ..fitting import files, rates, report
from ..fitting.data import Source, read
from ..fitting.recipe import Recipe
from ..fitting.targets import KINDS, TASKS
from ..fitting.train import DivergedError, Fit, Problem
from ..fitting.train import fit as train
from ..objectives._activations import ACTIVATIONS
from ..rules import optimizers
from .options import assignments, check_folder, check_plot, choice, column, failing, integers
from .screen import Screen

__all__ = ["FAILURES", "fit"]

FAILURES = (ImportError, OSError, ValueError, TypeError, MemoryError, DivergedError)
INTERRUPTED = 130  # as shells have it

of_data = partial(typer.Option, rich_help_panel="Data")
of_model = partial(typer.Option, rich_help_panel="Model")
of_fit = partial(typer.Option, rich_help_panel="Fit")
of_result = partial(typer.Option, rich_help_panel="Results")
of_place = partial(typer.Option, rich_help_panel="Where it is computed")

DATA_HELP = "A file (.npz, .csv, .svm, IDX), or a folder with MNIST's or CIFAR-10's files."


def fit(
    data: Annotated[Path, typer.Argument(exists=True, help=DATA_HELP)],
    # ---- data ----
    target: Annotated[
        str | None, of_data(metavar="COLUMN", help="The targets' column (name or index) or array.")
    ] = None,
    format: Annotated[
        str | None,
        of_data(
            callback=choice(FORMATS), metavar="NAME", help="Where the file's name does not tell."
        ),
    ] = None,
    test: Annotated[
        Path | None, of_data(exists=True, metavar="FILE", help="To test on; folders bring theirs.")
    ] = None,
    val: Annotated[
        float, of_data(metavar="SHARE", help="Of the samples, to validate on after each epoch.")
    ] = 0.0,
    standardize: Annotated[
        bool,
        of_data("--standardize", help="Features, and a regression's targets: mean 0, variance 1."),
    ] = False,
    dtype: Annotated[
        str | None,
        of_data(
            callback=choice(("float32", "float64")), metavar="NAME", help="By default the data's."
        ),
    ] = None,
    # ---- model ----
    model: Annotated[
        str,
        of_model(
            callback=choice(("auto", *KINDS)),
            metavar="NAME",
            help=f"{', '.join(KINDS)}; by the targets.",
        ),
    ] = "auto",
    task: Annotated[
        str,
        of_model(
            callback=choice(("auto", *TASKS)),
            metavar="NAME",
            help=f"{', '.join(TASKS)}; by the targets.",
        ),
    ] = "auto",
    hidden: Annotated[str, of_model(metavar="N,N,…", help="An mlp's hidden layers.")] = "128",
    activation: Annotated[
        str,
        of_model(callback=choice(ACTIVATIONS), metavar="NAME", help=f"{', '.join(ACTIVATIONS)}."),
    ] = "relu",
    l2: Annotated[float, of_model(min=0.0, help="Weight of half the weights' squares.")] = 0.0,
    # ---- fit ----
    optimizer: Annotated[
        str,
        of_fit(callback=choice(optimizers()), metavar="NAME", help=f"{', '.join(optimizers())}."),
    ] = "Adam",
    lr: Annotated[float | None, of_fit(min=0.0, help="By default the optimizer's own.")] = None,
    set_: Annotated[
        list[str] | None, of_fit("--set", metavar="NAME=VALUE", help="Its hyperparameters.")
    ] = None,
    schedule: Annotated[
        str | None,
        of_fit(
            metavar="NAME[:KEY=VALUE,…]", help=f"{', '.join(rates.SCHEDULES)}; counts in epochs."
        ),
    ] = None,
    batch_size: Annotated[str, of_fit(metavar="N", help="Samples a step; full: all.")] = "64",
    epochs: Annotated[int, of_fit(min=1, metavar="N", help="Passes over the samples.")] = 10,
    max_norm: Annotated[
        float | None, of_fit(help="Gradients of a greater norm are scaled down to it.")
    ] = None,
    seed: Annotated[
        int, of_fit(min=0, metavar="N", help="Of validation part, start and batches.")
    ] = 0,
    # ---- results ----
    out: Annotated[
        Path | None, of_result(metavar="FILE", help="The model, as safetensors; see predict.")
    ] = None,
    plot: Annotated[Path | None, of_result(metavar="FILE", help="Losses, as a picture.")] = None,
    checkpoint: Annotated[
        Path | None, of_result(metavar="FILE", help="The state of the fit, after each epoch.")
    ] = None,
    resume: Annotated[
        bool, of_result("--resume", help="Go on from the checkpoint, if there is one.")
    ] = False,
    as_json: Annotated[bool, of_result("--json", help="Print JSON, and nothing else.")] = False,
    # ---- where ----
    threads_: Annotated[int | None, of_place("--threads", min=1, metavar="N")] = None,
    backend: Annotated[
        str | None, of_place(callback=choice(NAMES), metavar="NAME", help=f"{', '.join(NAMES)}.")
    ] = None,
) -> None:
    """Fit a model to the samples in a file, and say how good it is.

    Ctrl-C ends it early; what has been reached is written all the same, and it exits with 130.
    """
    recipe = _recipe(
        kind=None if model == "auto" else model,
        task=None if task == "auto" else task,
        hidden=integers(hidden, "--hidden"),
        activation=activation,
        optimizer=optimizers()[optimizer],
        lr=lr,
        schedule=schedule,
        hyperparameters=assignments(set_ or [], "--set"),
        batch_size=_batch_size(batch_size),
        epochs=epochs,
        l2=l2,
        max_norm=max_norm,
        seed=seed,
        standardize=standardize,
        val=val,
        backend=backend,
    )
    with failing(*FAILURES), threads.limited(threads_ or threads.get_num_threads()):
        _check_files(out, plot, checkpoint, resume)
        source = Source(data, column(target), format, dtype)
        problem = Problem(recipe, *read(source, test), target=source.target)
        screen = Screen(problem)
        if not as_json:
            screen.begin()
        done = train(
            problem,
            checkpoint=checkpoint,
            resume=resume,
            progress=None,
            tell=(lambda _: None) if as_json else screen.epoch,
        )
        _finish(done, screen, out, plot, as_json)
    if done.interrupted:
        raise typer.Exit(INTERRUPTED)


def _recipe(*, schedule: str | None, val: float, max_norm: float | None, **options: Any) -> Recipe:
    """The recipe, or a usage error."""
    if not 0 <= val < 1:
        raise typer.BadParameter(f"{val} is not in [0, 1)", param_hint="--val")
    if not options["l2"] < math.inf:
        raise typer.BadParameter(f"{options['l2']} is not finite", param_hint="--l2")
    if max_norm is not None and not max_norm > 0:
        raise typer.BadParameter(f"{max_norm} is not positive", param_hint="--max-norm")
    try:
        parsed = None if schedule is None else rates.parse(schedule)
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(str(error), param_hint="--schedule") from error
    try:
        return Recipe(schedule=parsed, val=val, max_norm=max_norm, **options)
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(str(error), param_hint="--optimizer, --lr, --set") from error


def _batch_size(text: str) -> int | None:
    if text.lower() in ("full", "0"):
        return None
    if not text.isdecimal():
        raise typer.BadParameter(
            f"{text!r} is neither a number of samples nor 'full'", param_hint="--batch-size"
        )
    return int(text)


def _check_files(
    out: Path | None, plot: Path | None, checkpoint: Path | None, resume: bool
) -> None:
    """Fail now where writing would fail after the work is done."""
    if resume and checkpoint is None:
        raise typer.BadParameter("needs --checkpoint, to go on from", param_hint="--resume")
    for path, hint in ((out, "--out"), (checkpoint, "--checkpoint")):
        if path is not None:
            require("safetensors.numpy", extra="checkpoint")
            check_folder(path, hint)
    if plot is not None:
        check_plot(plot, "--plot")


def _finish(done: Fit, screen: Screen, out: Path | None, plot: Path | None, as_json: bool) -> None:
    """Write what is to be written, and say so."""
    if not as_json:
        screen.end(done)
    if out is not None:
        files.write(out, done.model)
    if plot is not None:
        report.save_plot(done, plot)
    if as_json:
        typer.echo(json.dumps(report.as_dict(done), indent=2))
        return
    if out is not None:
        screen.say(f"model written to {out}")
    if plot is not None:
        screen.say(f"losses drawn in {plot}")
