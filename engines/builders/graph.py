"""ONNX models as the builders change them: every node named, and the precision on the card kept in step."""

from dataclasses import replace
from pathlib import Path

import onnx

from colorcli.networks.card import CARD_KEY, ModelCard


def load(path: Path) -> onnx.ModelProto:
    """Read a model; nodes without a name get one, because converters know nodes by their names."""
    model = onnx.load(path)
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return model


def metadata_of(model: onnx.ModelProto) -> dict[str, str]:
    """What the file says about itself."""
    return {entry.key: entry.value for entry in model.metadata_props}


def stamp(model: onnx.ModelProto, metadata: dict[str, str], precision: str) -> None:
    """Give a converted model its source's metadata, with the new precision on the card if there is one."""
    if CARD_KEY in metadata:
        card = replace(ModelCard.from_metadata(metadata), precision=precision)
        metadata = metadata | card.to_metadata()
    onnx.helper.set_model_props(model, metadata)
