"""Exponentials and logarithms that neither overflow nor cancel, and dynamic loss scaling.

Throughout, float32 and float64 stay, float16 and bfloat16 pass through float32 and come back, and
integers and booleans become float64. No call warns, NaN stays NaN, and an infinity stands for its
limit: sigmoid(inf) is 1, and a class of logit -inf has probability 0. Infinities of one sign count
as level with each other.
"""

from ._exponentials import log_softmax, log_sum_exp, sigmoid, softmax
from ._losses import binary_cross_entropy, cross_entropy
from ._scaling import LossScaler

__all__ = [
    "LossScaler",
    "binary_cross_entropy",
    "cross_entropy",
    "log_softmax",
    "log_sum_exp",
    "sigmoid",
    "softmax",
]
