"""What all parity tests compare with."""

import numpy as np

TOLERANCE = 2e-5
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


def off(ours, theirs):
    """Largest absolute difference; shapes must agree, for NumPy would broadcast."""
    ours = np.asarray(ours)
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max()
