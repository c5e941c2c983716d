"""Where the int8 matrices of a model file lie."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from agent.bundle.packed import is_packed
from agent.update.diff_base import MOST_COLUMNS, Matrix
from converters.export.graph_reader import read_constants

_FEWEST_WEIGHTS = 32  # below that a piece costs more than it saves
_VECTOR_COLUMNS = 256  # rows that a vector is cut into


def find_matrices(path: Path) -> tuple[Matrix, ...]:
    """The int8 constants of a .tflite file, in the order of the file.

    Args:
        path: Any file.

    Returns:
        Matrices that do not overlap: the first dimension gives the rows, the others the columns;
        vectors are cut into rows. Empty if it is not a model file, not one that is understood, or
        packed: a diff then treats it as any other file.
    """
    if path.suffix != ".tflite" or is_packed(path.read_bytes()):
        return ()
    try:
        constants = read_constants(path)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error):
        # A file that is no model after all, or has types that this reader lacks: the diff then
        # treats it as any other file.
        return ()
    found: list[Matrix] = []
    for constant in sorted(constants.values(), key=lambda constant: constant.offset):
        values = constant.values
        if values.dtype != np.int8 or values.size < _FEWEST_WEIGHTS:
            continue
        if found and constant.offset < found[-1].end:
            continue  # two tensors share a buffer
        columns = values.size // values.shape[0] if values.ndim > 1 else _VECTOR_COLUMNS
        columns = columns if columns <= MOST_COLUMNS else _VECTOR_COLUMNS
        rows, rest = divmod(values.size, columns)
        if rows:
            found.append(Matrix(constant.offset, rows, columns))
        if rest:
            found.append(Matrix(constant.offset + rows * columns, 1, rest))
    return tuple(found)
