"""Models in files: safetensors, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import serialization
from .._types import Array
from ..datasets._files import PathLike
from ..objectives import Objective
from ..objectives._data import as_vector
from .model import Form, Model
from .scaling import Scaling
from .targets import KINDS, Classes

__all__ = ["load_model", "save_model", "write"]

FORMAT = "fallline-model"
VERSION = 1
LOSSES = ("squared", "logistic", "softmax")


def save_model(
    path: PathLike,
    objective: Objective,
    x: npt.ArrayLike,
    *,
    classes: Sequence[str] | Sequence[int] | None = None,
    feature_names: Sequence[str] | None = None,
) -> None:
    """Write a fitted model to a safetensors file that is, after a crash too, the old or the new.

    ``fallline predict`` and :func:`load_model` read it.

    Parameters
    ----------
    path : path
        File to write; replaced if it exists.
    objective : LinearRegression, LogisticRegression, SoftmaxRegression or MLP
        What was minimized. Its data is not written.
    x : array of shape (n_params,)
        The parameters, such as ``res.x``.
    classes : sequence of str or of int, optional
        The label of each class index; 0, 1, … by default.
    feature_names : sequence of str, optional
        The names of the columns.

    Raises
    ------
    ImportError
        safetensors is missing (extra ``checkpoint``).
    TypeError, ValueError
        The objective is another one, or an argument does not fit it.

    Examples
    --------
    See :func:`load_model`.
    """
    form = Form.of(objective)
    phi = np.array(as_vector("x", x, objective.n_params, objective.dtype))
    if not np.isfinite(phi).all():
        j = int(np.argmin(np.isfinite(phi)))
        raise ValueError(f"x[{j}] is {phi[j]}; expected finite numbers")
    labels = None
    if form.loss != "squared":
        given: Any = range(form.targets[0]) if classes is None else classes
        labels = Classes(tuple(given))
    elif classes is not None:
        raise ValueError(f"classes={classes!r} for a regression")
    if labels and len(labels) != form.targets[0]:
        raise ValueError(f"classes has {len(labels)} entries; expected {form.targets[0]}")
    names = None if feature_names is None else tuple(feature_names)
    if names is not None and len(names) != form.features:
        raise ValueError(f"feature_names has {len(names)} entries; expected {form.features}")
    write(path, Model(form, phi, labels, feature_names=names))


def write(path: PathLike, model: Model) -> None:
    """Write a model with all that belongs to it."""
    arrays = {f"parameters/{name}": view for name, view in model.parameters().items()}
    if model.scaling is not None:
        scaling = vars(model.scaling).items()
        arrays |= {f"scaling/{name}": np.asarray(value) for name, value in scaling}
    config = {
        "format": FORMAT,
        "version": VERSION,
        "form": vars(model.form),
        "classes": model.classes,
        "feature_names": model.feature_names,
        "settings": model.settings,
    }
    serialization.write(path, {k: np.array(a, order="C") for k, a in arrays.items()}, config)


def load_model(path: PathLike) -> Model:
    """Read a model that :func:`save_model` or ``fallline fit`` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Model
        With ``predict(X)``, ``predict_proba(X)``, ``classes``, ``parameters()``, ``settings``.

    Raises
    ------
    ImportError
        safetensors is missing (extra ``checkpoint``).
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged, foreign, of a newer version, or does not fit together.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fallline as fl
    >>> X, y = fl.datasets.digits()
    >>> f = fl.objectives.SoftmaxRegression(X, y)
    >>> res = fl.minimize(f, optimizer=fl.Adam, lr=0.01, epochs=100)
    >>> path = pathlib.Path(tempfile.mkdtemp(), "digits.safetensors")
    >>> fl.save_model(path, f, res.x)
    >>> model = fl.load_model(path)
    >>> model
    Model(softmax 64-10, 650 parameters, float32)
    >>> bool((model.predict(X) == y).mean() > 0.9)
    True
    """
    arrays, config = serialization.read(path, FORMAT, "fallline fit")
    name = os.fspath(path)
    if config.get("version") != VERSION:
        raise ValueError(
            f"{name!r} has version {config.get('version')!r}; this fallline reads {VERSION}"
        )
    try:
        return _model(arrays, config)
    except (KeyError, TypeError, ValueError, IndexError, MemoryError) as error:
        raise ValueError(f"{name!r} does not fit together: {error}") from None


def _model(arrays: Mapping[str, Array], config: dict[str, Any]) -> Model:
    form: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in config["form"].items()}
    if form["kind"] not in KINDS or form["loss"] not in LOSSES:
        raise ValueError(f"there is no model {form['kind']!r} with loss {form['loss']!r}")
    if not isinstance(config["settings"], dict):
        raise TypeError(f"settings are {config['settings']!r}")
    form = Form(**form)
    names, labels = config["feature_names"], config["classes"]
    parts = {n.removeprefix("parameters/"): a for n, a in arrays.items() if "parameters" in n}
    dtypes = {a.dtype for a in parts.values()}
    if len(dtypes) != 1 or not dtypes <= {np.dtype("f4"), np.dtype("f8")}:
        raise ValueError(f"parameters are of {', '.join(map(str, dtypes)) or 'no dtype'}")
    (dtype,) = dtypes
    model = Model(
        form,
        np.empty(form.empty(dtype).n_params, dtype),
        None if labels is None else Classes(tuple(labels)),
        _scaling(arrays, form.features),
        None if names is None else tuple(names),
        config["settings"],
    )
    if (model.labels is None) != (form.loss == "squared"):
        raise ValueError(f"classes are {labels} with loss {form.loss!r}")
    if model.labels and len(model.labels) != form.targets[0]:
        raise ValueError(f"{len(model.labels)} classes for {form.targets[0]} outputs")
    for part, view in model.parameters().items():
        if parts[part].shape != view.shape or not np.isfinite(parts[part]).all():
            raise ValueError(f"{part} is not finite or not of shape {view.shape}")
        view[...] = parts[part]
    return model


def _scaling(arrays: Mapping[str, Array], features: int) -> Scaling | None:
    own = {k.removeprefix("scaling/"): a for k, a in arrays.items() if k.startswith("scaling/")}
    if not own:
        return None
    scaling = Scaling(**{**own, "target_scale": float(own["target_scale"])})  # type: ignore[arg-type]
    if scaling.mean.shape != (features,) or scaling.scale.shape != (features,):
        raise ValueError(f"the scaling is of {scaling.mean.shape}; expected ({features},)")
    return scaling
