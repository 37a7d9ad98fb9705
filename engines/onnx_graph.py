"""Shortens an ONNX model to the part that computes some inner tensors, without the `onnx` package.

An ONNX file is a protobuf message: a sequence of fields, each a number with a wire type and a value
(https://protobuf.dev/programming-guides/encoding/). Nodes are in order of computation, so everything after
the last wanted tensor can be left out, and the outputs be replaced.
"""

from collections.abc import Iterator, Sequence

GRAPH = 7
"""Of ModelProto (onnx.proto)."""
NODE, OUTPUT = 1, 12
"""Of GraphProto."""
INPUT = 1
"""Of NodeProto."""
NAME = 1
"""Of ValueInfoProto; type and shape are left to the runtime."""
_SIZES = {1: 8, 5: 4}
"""Bytes of the values of fixed size, by wire type."""


def cut_before(model: bytes, weights: Sequence[str]) -> bytes:
    """A model whose outputs are the inputs of the layers with these weights, in the order of the graph.

    Raises:
        ValueError: the model has no such layers.
    """
    parts = []
    for number, value, field in _fields(memoryview(model)):
        parts.append(_field(GRAPH, _cut_graph(value, set(weights))) if number == GRAPH else bytes(field))
    return b"".join(parts)


def _cut_graph(graph: memoryview, weights: set[str]) -> bytes:
    parts, outputs = [], []
    for number, value, field in _fields(graph):
        if number == OUTPUT:
            continue
        if number == NODE:
            if not weights:
                continue
            inputs = [str(name, "utf-8") for key, name, _ in _fields(value) if key == INPUT]
            if found := weights.intersection(inputs):
                outputs.append(inputs[0])
                weights -= found
        parts.append(bytes(field))
    if weights:
        raise ValueError(f"the model has no {', '.join(sorted(weights))}")
    named = [_field(OUTPUT, _field(NAME, name.encode())) for name in outputs]
    return b"".join([*parts, *named])


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Number, value and whole encoding of each field; the value of a number is empty."""
    at = 0
    while at < len(message):
        start = at
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 2:
            length, at = _varint(message, at)
            begin, at = at, at + length
        elif kind == 0:
            _, at = _varint(message, at)
            begin = at
        else:
            begin, at = at, at + _SIZES[kind]
        yield key >> 3, message[begin:at], message[start:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and the position after it."""
    value = shift = 0
    while message[at] & 128:
        value |= (message[at] & 127) << shift
        at, shift = at + 1, shift + 7
    return value | message[at] << shift, at + 1


def _field(number: int, value: bytes) -> bytes:
    return _encoded(number << 3 | 2) + _encoded(len(value)) + value


def _encoded(value: int) -> bytes:
    digits = []
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])
