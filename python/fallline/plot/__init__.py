"""Pictures of what optimizers do.

Each function draws on the matplotlib axes it is given, or on those of a new figure, which no pyplot
knows of: save it with ``ax.figure.savefig(path)``, or pass ``ax=plt.subplots()[1]``.
"""

from __future__ import annotations

from ._curve import loss_curve as loss_curve
from ._history import history as history
from ._paths import compare as compare
from ._paths import trajectory as trajectory
from ._plane import Plane as Plane
from ._searches import brackets as brackets
from ._searches import spectrum as spectrum
from ._style import COLORS as COLORS
from ._surface import loss_surface as loss_surface
