"""Figures of what optimizers do, each of a few lines on fallline's public API.

A module is a figure: its docstring is the title and what one sees, ``figure()`` draws it.
``fallline figures`` writes them all.
"""

FIGURES = (
    "line_search_regression",
    "gabor_model",
    "gabor_surface",
    "gabor_sgd",
    "gabor_one_step",
    "momentum",
    "nesterov",
    "momentum_forms",
    "valley",
    "leaving_a_minimum",
    "sgd_is_not_adam",
    "bracketing",
    "risk",
    "local_minimum",
    "saddles",
    "flat_curvature",
    "vanishing_gradient",
    "first_order_prediction",
    "derivative_products",
    "stable_softmax",
    "learning_rate_schedules",
    "batch_size",
    "learning_rate_to_batch_size",
    "momentum_weights",
    "adagrad_forms",
    "chords",
    "random_matrices",
    "permuted_minima",
)
"""Their order in the documentation."""
