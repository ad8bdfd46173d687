"""Whether two answers are the same: floats nearly, everything else exactly."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keras_bert.export.errors import ExportError
from keras_bert.export.requests import Request

__all__ = ["TOLERANCE", "Answers", "compare"]

#: Largest absolute difference allowed between a float of the export and of the Keras model.
TOLERANCE = 1e-5

Answers = Mapping[str, np.ndarray]


def compare(request: Request, expected: Answers, answer: Answers) -> float:
    """Compares one answer of the export with the model's.

    Returns:
        The largest absolute difference of their floats.

    Raises:
        ExportError: If they differ more than ``verify`` allows; it says where.
    """
    if expected.keys() != answer.keys():
        raise ExportError(
            f"The export was not kept: {request.signature} answers {sorted(answer)}, "
            f"the model {sorted(expected)}."
        )
    differences = [0.0]
    for name, wanted in expected.items():
        got = answer[name]
        if wanted.dtype != got.dtype or wanted.shape != got.shape:
            raise ExportError(
                f"The export was not kept: {request.signature} answers {name!r} as "
                f"{got.dtype}{got.shape}, the model as {wanted.dtype}{wanted.shape}."
            )
        if np.issubdtype(wanted.dtype, np.floating):
            differences.append(_compare_floats(request, name, wanted, got))
        else:
            _compare_exactly(request, name, wanted, got, expected)
    return max(differences)


def _compare_floats(request: Request, name: str, wanted: np.ndarray, got: np.ndarray) -> float:
    if not np.isfinite(wanted).all():
        row = int(np.argwhere(~np.isfinite(wanted))[0][0])
        raise ExportError(
            f"The export was not kept: the model itself answers {name!r} with a number that is "
            f"not finite, for {_show(request, row)}."
        )
    difference = np.abs(wanted.astype(np.float64) - got.astype(np.float64))
    # Written so that NaN does not pass.
    if difference.size and not difference.max() <= TOLERANCE:
        where = np.unravel_index(int(np.argmax(difference)), difference.shape)
        raise ExportError(
            f"The export was not kept: {request.signature} answers {name!r} with "
            f"{got[where]:.7g}, the model with {wanted[where]:.7g} (a difference of "
            f"{difference[where]:.1e}; allowed is {TOLERANCE:.0e}), for "
            f"{_show(request, int(where[0]))}."
        )
    return float(difference.max()) if difference.size else 0.0


def _compare_exactly(request, name, wanted: np.ndarray, got: np.ndarray, expected: Answers) -> None:
    for where in np.argwhere(wanted != got):
        row = int(where[0])
        if not _is_tie(expected, name, row):
            at = tuple(where)
            raise ExportError(
                f"The export was not kept: {request.signature} answers {name!r} with {got[at]!r}, "
                f"the model with {wanted[at]!r}, for {_show(request, row)}."
            )


def _is_tie(expected: Answers, name: str, row: int) -> bool:
    """Whether a label is a matter of the last bits."""
    probabilities = expected.get("probabilities")
    if name != "label" or probabilities is None or probabilities.shape[-1] < 2:
        return False
    second, first = np.sort(probabilities[row])[-2:]
    return bool(first - second <= TOLERANCE)


def _show(request: Request, row: int) -> str:
    """The input of one row, short enough for a message."""
    return ", ".join(
        f"{name} = {value if len(value) <= 60 else value[:57] + '...'}"
        for name, column in request.inputs.items()
        for value in [repr(column[row])]
    )
