"""Generator checkpoints: weights in safetensors, the model card in its header; never a pickle."""

import hashlib
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from colorcli.errors import InputError
from colorcli.files import atomic_write
from colorcli.networks.card import ModelCard
from colorcli.networks.generators import GENERATORS, Generator


def save_generator(generator: Generator, card: ModelCard, path: Path) -> None:
    """Write the weights and the card, with the weights' digest in it."""
    tensors = {name: value.contiguous() for name, value in generator.state_dict().items()}
    digest = hashlib.sha256(save(tensors)).hexdigest()
    with atomic_write(path) as partial:
        partial.write_bytes(save(tensors, replace(card, digest=digest).to_metadata()))


def load_generator(path: Path) -> tuple[Generator, ModelCard]:
    """Read what `save_generator` wrote: the generator, in eval mode on the CPU, and its card.

    Raises:
        InputError: no such file, or not a generator checkpoint.
    """
    try:
        with safe_open(path, "pt") as file:
            card = ModelCard.from_metadata(file.metadata() or {})
        generator = GENERATORS[card.architecture]()
        generator.load_state_dict(load_file(path))
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        cause = f"not a generator checkpoint ({error})"
        raise InputError(path, cause, "give generator.safetensors of a training run") from error
    return generator.eval(), card
