"""Writes .tflite graphs directly, operator by operator, with exact names and layout.

No converter stands between the weights and the file: the bytes are a pure function of the
weights, so the same architecture always has the same offsets (which weight diffs rely on) and
an int8 matrix is exactly the integers that training saw.

A matrix product is written in the portable form ``FC(int8, scale 1.0) -> MUL row scale -> ADD
bias``: tflite-runtime 2.14 silently mis-scales per-row hybrid layers, and this form is right
there and in LiteRT alike. Activations are quantised on the fly per invoke by the runtime.

Tensor names are the interface: an input named ``state...`` is fed in the next invoke from the
output named ``<input>.out``.

The FlatBuffers schema ships inside the ``ai-edge-litert`` wheel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.export.quantise import quantise_rows

_Op = schema.BuiltinOperator
_Options = schema.BuiltinOptions
_Type = schema.TensorType
_TYPES = {"float32": _Type.FLOAT32, "int32": _Type.INT32, "int8": _Type.INT8}


class Tensor:
    """A tensor of the graph under construction: its index and shape."""

    def __init__(self, index: int, shape: tuple[int, ...]) -> None:
        self.index = index
        self.shape = shape


class GraphAuthor:
    """Builds one graph; every method appends operators and returns their output tensor."""

    def __init__(self, description: str) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.description = description
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []
        self._model.metadata = []
        self._graph = schema.SubGraphT()
        self._graph.name = "main"
        self._graph.tensors, self._graph.operators = [], []
        self._graph.inputs, self._graph.outputs = [], []
        self._model.subgraphs = [self._graph]
        self._codes: dict[int, int] = {}
        self._names: set[str] = set()
        self._temporaries = 0

    # -- tensors ---------------------------------------------------------------------------

    def _tensor(self, name: str, shape: Sequence[int], dtype: str = "float32") -> Tensor:
        if name in self._names:
            raise ValueError(f"two tensors are called {name!r}; rename one of them")
        self._names.add(name)
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, [int(n) for n in shape]
        tensor.type, tensor.buffer, tensor.hasRank = _TYPES[dtype], 0, True
        self._graph.tensors.append(tensor)
        return Tensor(len(self._graph.tensors) - 1, tuple(tensor.shape))

    def _temporary(self, shape: Sequence[int]) -> Tensor:
        self._temporaries += 1
        return self._tensor(f"t{self._temporaries}", shape)

    def input(self, name: str, shape: Sequence[int], dtype: str = "float32") -> Tensor:
        """An input of the graph."""
        tensor = self._tensor(name, shape, dtype)
        self._graph.inputs.append(tensor.index)
        return tensor

    def output(self, name: str, tensor: Tensor) -> None:
        """Declares ``tensor`` an output called ``name`` (its shape unchanged)."""
        self._graph.tensors[tensor.index].name = name
        self._graph.outputs.append(tensor.index)

    def constant(self, name: str, values: NDArray[Any]) -> Tensor:
        """A constant; float32, int32 and int8 arrays are stored as they are."""
        tensor = self._tensor(name, values.shape, str(values.dtype))
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        self._graph.tensors[tensor.index].buffer = len(self._model.buffers) - 1
        return tensor

    # -- operators -------------------------------------------------------------------------

    def _apply(
        self,
        op: int,
        inputs: Sequence[Tensor | None],
        outputs: Sequence[Tensor],
        kind: int = 0,
        options: Any = None,
        version: int = 1,
    ) -> None:
        if op not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode = op, min(op, 127)
            code.version = version
            self._model.operatorCodes.append(code)
            self._codes[op] = len(self._model.operatorCodes) - 1
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes[op]
        operator.inputs = [-1 if tensor is None else tensor.index for tensor in inputs]
        operator.outputs = [tensor.index for tensor in outputs]
        operator.builtinOptionsType, operator.builtinOptions = kind, options
        self._graph.operators.append(operator)

    def _binary(self, op: int, kind: int, options: Any, a: Tensor, b: Tensor) -> Tensor:
        out = self._temporary(np.broadcast_shapes(a.shape, b.shape))
        self._apply(op, [a, b], [out], kind, options)
        return out

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """a + b, broadcast."""
        return self._binary(_Op.ADD, _Options.AddOptions, schema.AddOptionsT(), a, b)

    def mul(self, a: Tensor, b: Tensor) -> Tensor:
        """a * b, broadcast."""
        return self._binary(_Op.MUL, _Options.MulOptions, schema.MulOptionsT(), a, b)

    def sub(self, a: Tensor, b: Tensor) -> Tensor:
        """a - b, broadcast."""
        return self._binary(_Op.SUB, _Options.SubOptions, schema.SubOptionsT(), a, b)

    def div(self, a: Tensor, b: Tensor) -> Tensor:
        """a / b, broadcast."""
        return self._binary(_Op.DIV, _Options.DivOptions, schema.DivOptionsT(), a, b)

    def _unary(self, op: int, a: Tensor) -> Tensor:
        out = self._temporary(a.shape)
        self._apply(op, [a], [out])
        return out

    def sigmoid(self, a: Tensor) -> Tensor:
        """1 / (1 + exp(-a))."""
        return self._unary(_Op.LOGISTIC, a)

    def tanh(self, a: Tensor) -> Tensor:
        """tanh(a)."""
        return self._unary(_Op.TANH, a)

    def relu(self, a: Tensor) -> Tensor:
        """max(a, 0)."""
        return self._unary(_Op.RELU, a)

    def rsqrt(self, a: Tensor) -> Tensor:
        """1 / sqrt(a)."""
        return self._unary(_Op.RSQRT, a)

    def mean(self, name: str, a: Tensor) -> Tensor:
        """Mean over the last axis, which is kept with length 1."""
        axis = self.constant(f"{name}.axis", np.array([len(a.shape) - 1], np.int32))
        options = schema.ReducerOptionsT()
        options.keepDims = True
        out = self._temporary((*a.shape[:-1], 1))
        self._apply(_Op.MEAN, [a, axis], [out], _Options.ReducerOptions, options)
        return out

    def concat(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        """Joins tensors along an axis."""
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        options = schema.ConcatenationOptionsT()
        options.axis = axis
        out = self._temporary(shape)
        self._apply(_Op.CONCATENATION, parts, [out], _Options.ConcatenationOptions, options)
        return out

    def slice(self, name: str, a: Tensor, begin: Sequence[int], size: Sequence[int]) -> Tensor:
        """The block of ``size`` that starts at ``begin``."""
        starts = self.constant(f"{name}.begin", np.array(begin, np.int32))
        sizes = self.constant(f"{name}.size", np.array(size, np.int32))
        out = self._temporary(size)
        self._apply(
            _Op.SLICE, [a, starts, sizes], [out], _Options.SliceOptions, schema.SliceOptionsT()
        )
        return out

    def reshape(self, name: str, a: Tensor, shape: Sequence[int]) -> Tensor:
        """The same values under another shape."""
        target = self.constant(f"{name}.shape", np.array(shape, np.int32))
        options = schema.ReshapeOptionsT()
        options.newShape = [int(n) for n in shape]
        out = self._temporary(shape)
        self._apply(_Op.RESHAPE, [a, target], [out], _Options.ReshapeOptions, options)
        return out

    def gather(self, table: Tensor, rows: Tensor) -> Tensor:
        """Rows of a float32 table [n, d] by int32 indices."""
        options = schema.GatherOptionsT()
        options.axis = 0
        out = self._temporary((*rows.shape, table.shape[1]))
        self._apply(_Op.GATHER, [table, rows], [out], _Options.GatherOptions, options)
        return out

    # -- layers ----------------------------------------------------------------------------

    def linear(
        self,
        name: str,
        x: Tensor,
        weight: NDArray[Any],
        bias: NDArray[Any] | None = None,
        scales: NDArray[np.float32] | None = None,
    ) -> Tensor:
        """x W^T + b with int8 rows.

        Args:
            name: of the layer.
            x: [n, in].
            weight: float [out, in].
            bias: float [out].
            scales: float32 [out], of weights that lie on a grid; see `quantise_rows`.
        """
        integers, scales = quantise_rows(weight, scales)
        matrix = self.constant(f"{name}.weight", integers)
        quantisation = schema.QuantizationParametersT()
        quantisation.scale, quantisation.zeroPoint = np.ones(1, np.float32), np.zeros(1, np.int64)
        self._graph.tensors[matrix.index].quantization = quantisation
        options = schema.FullyConnectedOptionsT()
        options.asymmetricQuantizeInputs = True
        product = self._temporary((x.shape[0], weight.shape[0]))
        self._apply(
            _Op.FULLY_CONNECTED,
            [x, matrix, None],
            [product],
            _Options.FullyConnectedOptions,
            options,
            version=9,
        )
        scaled = self.mul(product, self.constant(f"{name}.scale", scales))
        if bias is None:
            return scaled
        return self.add(scaled, self.constant(f"{name}.bias", bias.astype(np.float32)))

    def layer_norm(
        self, name: str, x: Tensor, gain: NDArray[Any], bias: NDArray[Any], epsilon: float
    ) -> Tensor:
        """Layer normalisation (Ba et al. 2016) of [1, n] in float32."""
        centred = self.sub(x, self.mean(f"{name}.mean", x))
        variance = self.mean(f"{name}.variance", self.mul(centred, centred))
        floor = self.constant(f"{name}.epsilon", np.array([epsilon], np.float32))
        normal = self.mul(centred, self.rsqrt(self.add(variance, floor)))
        scaled = self.mul(normal, self.constant(f"{name}.gain", gain.astype(np.float32)))
        return self.add(scaled, self.constant(f"{name}.shift", bias.astype(np.float32)))

    def bytes(self) -> bytes:
        """The finished file."""
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs = [self._binding(i) for i in self._graph.inputs]
        signature.outputs = [self._binding(i) for i in self._graph.outputs]
        self._model.signatureDefs = [signature]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _binding(self, index: int) -> Any:
        binding = schema.TensorMapT()
        binding.name, binding.tensorIndex = self._graph.tensors[index].name, index
        return binding
