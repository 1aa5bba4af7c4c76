"""Searches for a minimum along a line.

Each takes a function of one number (or a :class:`Line` of an objective) and returns a
:class:`LineSearchResult`. Values that are NaN or infinite, and arithmetic errors in the function,
count as +inf, so that a search turns away from them; the message says how many there were. No
search runs without end, and none raises for want of a minimum: ``success`` and ``message`` tell.
"""

from __future__ import annotations

from ._interval import bracket as bracket
from ._interval import bracketing as bracketing
from ._interval import brent as brent
from ._interval import golden_section as golden_section
from ._line import Line as Line
from ._line import LineSearchResult as LineSearchResult
from ._step import backtracking as backtracking
from ._step import exact_quadratic as exact_quadratic
from ._step import strong_wolfe as strong_wolfe
