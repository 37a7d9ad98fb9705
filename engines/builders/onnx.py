"""Exports a checkpoint to ONNX, for any batch, height and width, with the model card in the metadata."""

from dataclasses import replace
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from colorcli.engines.builders.quiet import quiet
from colorcli.networks.batch_norm import fold_batch_norm
from colorcli.networks.card import ModelCard
from colorcli.networks.checkpoint import load_generator

OPSET = 20
OPSET_BF16 = 22
"""The first opset whose Conv takes bfloat16; nothing else needs a runtime that recent."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
"""`half` and `quantize` make the other precisions, without PyTorch."""


def export_onnx(checkpoint: Path, output: Path, precision: str = "fp32") -> ModelCard:
    """Write `output` with input `condition` [N, 4, H, W] and output `chroma` [N, 2, H, W], both float32.

    Args:
        precision: key of `DTYPES`, for weights and activations.

    Raises:
        InputError: the file is not a generator checkpoint.
    """
    generator, card = load_generator(checkpoint)
    card = replace(card, precision=precision)
    fold_batch_norm(generator)  # in float32: folding in 16 bits would round twice
    model = _Cast(generator, DTYPES[precision]).eval()
    graph = _trace(model, card.multiple_of, OPSET_BF16 if precision == "bf16" else OPSET)
    _tidy(graph)
    onnx.helper.set_model_props(graph, card.to_metadata())
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, output)
    return card


class _Cast(nn.Module):
    """A generator in another precision with input and output in float32."""

    def __init__(self, generator: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.generator, self.dtype = generator.to(dtype), dtype

    def forward(self, condition: Tensor) -> Tensor:
        chroma: Tensor = self.generator(condition.to(self.dtype))
        return chroma.float()


def _trace(model: nn.Module, multiple_of: int, opset: int) -> onnx.ModelProto:
    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    rows = torch.export.Dim("rows", min=1, max=1 << 12)
    columns = torch.export.Dim("columns", min=1, max=1 << 12)
    # Distinct sizes other than 1: the exporter would take equal ones, and 1, for constants.
    sample = torch.zeros(2, 4, 2 * multiple_of, 3 * multiple_of)
    with quiet():
        program = torch.onnx.export(
            model,
            (sample,),
            dynamo=True,
            opset_version=opset,
            input_names=["condition"],
            output_names=["chroma"],
            dynamic_shapes=({0: batch, 2: multiple_of * rows, 3: multiple_of * columns},),
            verbose=False,
        )
    assert program is not None  # None only when it writes a file
    return program.model_proto


def _tidy(model: onnx.ModelProto) -> None:
    """Remove the exporter's annotations, which name source files on this machine."""
    for part in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    del model.graph.value_info[:]
