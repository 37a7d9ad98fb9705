"""Generator checkpoints: weights in safetensors, the model card in its header; never a pickle."""

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from colorcli.errors import InputError
from colorcli.files import atomic_write
from colorcli.networks.batch_norm import fold_batch_norm
from colorcli.networks.card import ModelCard
from colorcli.networks.generators import GENERATORS, Generator
from colorcli.networks.onnx_weights import read_weights


def save_generator(generator: Generator, card: ModelCard, path: Path) -> None:
    """Write the weights and the card, with the weights' digest in it."""
    tensors = {name: value.contiguous() for name, value in generator.state_dict().items()}
    digest = hashlib.sha256(save(tensors)).hexdigest()
    with atomic_write(path) as partial:
        partial.write_bytes(save(tensors, replace(card, digest=digest).to_metadata()))


def load_generator(path: Path) -> tuple[Generator, ModelCard]:
    """Read a generator from a checkpoint or its float32 ONNX export, in eval mode on the CPU, and its card.

    Without batch norm statistics in the file, the generator has its batch norms folded.

    Raises:
        InputError: no such file, or not a generator of ours.
    """
    try:
        weights, card = _read_onnx(path) if path.suffix == ".onnx" else _read_checkpoint(path)
        generator = GENERATORS[card.architecture]().eval()
        if not any(name.endswith(".running_mean") for name in weights):  # taken out of an export
            fold_batch_norm(generator)
        generator.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        cause = f"not a generator checkpoint ({error})"
        raise InputError(path, cause, "give generator.safetensors of a training run") from error
    return generator, card


def _read_checkpoint(path: Path) -> tuple[dict[str, Tensor], ModelCard]:
    with safe_open(path, "pt") as file:
        card = ModelCard.from_metadata(file.metadata() or {})
    return load_file(path), card


def _read_onnx(path: Path) -> tuple[dict[str, Tensor], ModelCard]:
    weights, card = read_weights(path)
    return {name: torch.tensor(values) for name, values in weights.items()}, card
