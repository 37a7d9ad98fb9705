"""The model card: the description of a generator that every file holding one carries."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

CARD_KEY = "colorcli.card"
"""Key of the card's JSON text in the metadata of ONNX, safetensors and engine files."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    name: str
    version: str
    architecture: str
    """Key of the network in `networks.generators.GENERATORS`."""
    working_size: int = 256
    """Short side, in pixels, of the pictures that the network is trained on."""
    multiple_of: int = 32
    """Height and width of the network's input must be multiples of this."""
    precision: str = "fp32"
    """Of weights and activations: `fp32`, `fp16`, `bf16` or `int8`."""
    digest: str = ""
    """SHA-256 of the checkpoint's weights; the same for every file exported from it."""
    training_data: str = ""
    license: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    def to_metadata(self) -> dict[str, str]:
        """The entry that stores this card in a file's metadata."""
        return {CARD_KEY: self.to_json()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "ModelCard":
        """Read the card in a file's metadata.

        Raises:
            ValueError: there is none, or it is incomplete.
        """
        if CARD_KEY not in metadata:
            raise ValueError("no model card inside")
        return cls.from_json(metadata[CARD_KEY])

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """Read a card, ignoring unknown fields, which a newer version may have added.

        Raises:
            ValueError: the text is not a model card, or an incomplete one.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("a model card is a JSON object")
        # The spelling in files of model versions up to 10.
        values.setdefault("license", values.get("licence", ""))
        known = {field.name for field in fields(cls)}
        try:
            return cls(**{key: value for key, value in values.items() if key in known})
        except TypeError as error:
            raise ValueError(f"incomplete model card: {error}") from error
