"""Figures of what optimizers do, each of a few lines on fallline's public API.

A module is a figure: its docstring is the title and what one sees, ``figure()`` draws it.
``fallline figures`` writes them all.
"""

FIGURES = ("line_search_regression",)
"""Their order in the documentation."""
