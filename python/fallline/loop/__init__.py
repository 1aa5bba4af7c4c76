"""The parts of :func:`fallline.minimize`: engines, what they record, and what ends them."""
