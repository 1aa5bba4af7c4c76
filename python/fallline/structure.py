"""Parameters and gradients as the user nests them, and as the flat lists that a step works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._types import Array, Group


@dataclass(frozen=True)
class Structure:
    """How one group's parameters are nested: one array, a sequence, or a mapping."""

    keys: tuple[str, ...] | None  # of a mapping
    length: int
    single: bool = False

    def names(self, prefix: str) -> list[str]:
        """A name for each array, for messages."""
        if self.single:
            return [prefix]
        keys = self.keys if self.keys is not None else range(self.length)
        return [f"{prefix}[{key!r}]" for key in keys]

    def flatten(self, what: str, value: Any) -> list[Any]:
        """`value`, nested like the parameters, as a new flat list."""
        if self.single:
            return [value] if type(value) is np.ndarray else self._single(what, value)
        if self.keys is not None:
            return self._mapping(what, value, self.keys)
        if isinstance(value, (list, tuple)) or _is_sequence(value):
            if len(value) != self.length:
                raise ValueError(f"{what} has {len(value)} entries for {self.length} parameters")
            return list(value)
        raise TypeError(
            f"{what} must be a sequence of {self.length} arrays, like the parameters, "
            f"not {type(value).__name__}"
        )

    def unflatten(self, flat: Sequence[Any]) -> Any:
        """A flat list, nested like the parameters."""
        if self.single:
            return flat[0]
        return list(flat) if self.keys is None else dict(zip(self.keys, flat, strict=True))

    @staticmethod
    def _single(what: str, value: Any) -> list[Any]:
        if _is_sequence(value) or isinstance(value, Mapping):
            raise TypeError(
                f"{what} must be an array, like the parameters, not {type(value).__name__}"
            )
        return [value]

    @staticmethod
    def _mapping(what: str, value: Any, keys: tuple[str, ...]) -> list[Any]:
        if not isinstance(value, Mapping):
            raise TypeError(
                f"{what} must be a mapping, like the parameters, not {type(value).__name__}"
            )
        if len(value) == len(keys):
            try:
                return [value[key] for key in keys]
            except KeyError:
                pass  # said below, with what else does not match
        missing = [key for key in keys if key not in value]
        extra = [key for key in value if key not in keys]
        raise ValueError(f"{what} does not match the parameters: {missing=}, {extra=}")


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def nest(what: str, params: Any) -> tuple[Structure, list[Array]]:
    """Structure and flat list of one group's parameters."""
    if isinstance(params, Mapping):
        return Structure(tuple(params), len(params)), list(params.values())
    if isinstance(params, np.ndarray):
        return Structure(None, 1, single=True), [params]
    try:
        arrays = list(params)  # any iterable, a generator too
    except TypeError:
        raise TypeError(
            f"{what} must be an array, a sequence of arrays, a mapping from names to arrays or a "
            f"list of groups, not {type(params).__name__}"
        ) from None
    return Structure(None, len(arrays)), arrays


def flatten_groups(
    structures: Sequence[Structure], grouped: bool, what: str, value: Any
) -> list[Any]:
    """`value`, nested like all groups' parameters, as a new flat list."""
    if not grouped:
        return structures[0].flatten(what, value)
    if not isinstance(value, (list, tuple)) or len(value) != len(structures):
        raise ValueError(
            f"{what} must be a list with an entry for each of the {len(structures)} "
            "parameter groups"
        )
    flat: list[Any] = []
    for i, (structure, entry) in enumerate(zip(structures, value, strict=True)):
        if isinstance(entry, dict) and set(entry) == {"params"}:
            entry = entry["params"]
        flat += structure.flatten(f"{what}[{i}]", entry)
    return flat


def split_groups(params: Any) -> tuple[list[Group], bool]:
    """Group dicts, and whether the user gave groups; without them all is one group."""
    if not isinstance(params, (Mapping, np.ndarray)):
        params = params if isinstance(params, list) else _listed(params)
        if isinstance(params, list) and params and all(isinstance(p, Mapping) for p in params):
            for i, group in enumerate(params):
                if "params" not in group:
                    raise ValueError(f"parameter group {i} has no 'params'")
            return [dict(group) for group in params], True
    return [{"params": params}], False


def _listed(params: Any) -> Any:
    try:
        return list(params)
    except TypeError:
        return params  # nest() says what is wrong
