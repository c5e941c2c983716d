"""Reads the constants of a .tflite file back by tensor name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from agent.bundle.packed import plain

_DTYPES: dict[int, np.dtype[Any]] = {
    schema.TensorType.FLOAT32: np.dtype("<f4"),
    schema.TensorType.INT32: np.dtype("<i4"),
    schema.TensorType.INT8: np.dtype("i1"),
}


class Constant(NamedTuple):
    """One constant of a graph."""

    values: NDArray[Any]
    offset: int
    """Bytes from the start of the file to the first value."""


def read_constants(path: Path) -> dict[str, Constant]:
    """All constants of a file's only graph, by tensor name.

    Args:
        path: a .tflite file that `GraphAuthor` wrote, packed or not.

    Returns:
        Name to values and their place in the inflated file; temporaries are left out.

    Raises:
        BundleFileError: It is packed and damaged.
    """
    content = plain(path.read_bytes(), str(path))
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    constants = {}
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        buffer = model.Buffers(tensor.Buffer())
        if buffer.DataLength() == 0:
            continue
        table = buffer._tab  # noqa: SLF001 - the schema offers no offset of a vector
        offset = table.Vector(table.Offset(4))
        raw = np.frombuffer(content, np.uint8, buffer.DataLength(), offset)
        shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() else ()
        values = raw.view(_DTYPES[tensor.Type()]).reshape(shape)
        constants[tensor.Name().decode()] = Constant(values, offset)
    return constants
