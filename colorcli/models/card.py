"""The model card: what a generator is, carried inside every file that holds one."""

import json
from dataclasses import asdict, dataclass, fields

CARD_KEY = "colorcli.card"
"""The metadata key under which the card's JSON stands in ONNX and safetensors files."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    name: str
    version: str
    architecture: str
    """Key of the network in `train.networks.GENERATORS`."""
    working_size: int = 256
    """Short side, in pixels, at which the network sees a picture."""
    multiple_of: int = 32
    """Height and width given to the network are padded to this multiple."""
    precision: str = "fp32"
    digest: str = ""
    """SHA-256 of the generator's checkpoint; the same for every file exported from it."""
    training_data: str = ""
    license: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """Read a card, ignoring fields that a newer version may have added.

        Raises:
            ValueError: the text is no card.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("a model card is a JSON object")
        values.setdefault("license", values.get("licence", ""))  # as files up to version 10 spell it
        known = {field.name for field in fields(cls)}
        try:
            return cls(**{key: value for key, value in values.items() if key in known})
        except TypeError as error:
            raise ValueError(f"incomplete model card: {error}") from error
