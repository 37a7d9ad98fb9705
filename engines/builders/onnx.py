"""A checkpoint's generator as an ONNX file: any batch, height and width, the model card in its metadata."""

from dataclasses import replace
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from colorcli.engines.builders.quiet import quiet
from colorcli.engines.pytorch import fold_batch_norm
from colorcli.models.card import CARD_KEY, ModelCard
from colorcli.networks.checkpoint import load_generator

OPSET = 20
OPSET_BF16 = 22
"""The first opset whose Conv takes bfloat16; older runtimes need not know it for anything else."""
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def export_onnx(checkpoint: Path, output: Path, precision: str = "fp32") -> ModelCard:
    """Write `output` with input `condition` [N, 4, H, W] and output `chroma` [N, 2, H, W], both float32.

    Args:
        precision: key of `DTYPES`: what weights and activations between the two are.

    Raises:
        InputError: not a generator's checkpoint.
    """
    generator, card = load_generator(checkpoint)
    card = replace(card, precision=precision)
    fold_batch_norm(generator)  # while still in float32: in 16 bits it would round twice
    model = _Cast(generator, DTYPES[precision]).eval()
    graph = _trace(model, card.multiple_of, OPSET_BF16 if precision == "bf16" else OPSET)
    _tidy(graph)
    onnx.helper.set_model_props(graph, {CARD_KEY: card.to_json()})
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, output)
    return card


class _Cast(nn.Module):
    """A generator in another precision that still takes and gives float32."""

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
    # Sizes differ from each other and from 1, or the exporter would take them for constants.
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
    assert program is not None  # it is None only when a file is asked for
    return program.model_proto


def _tidy(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes: they name source files of the machine that exported."""
    for part in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    del model.graph.value_info[:]
