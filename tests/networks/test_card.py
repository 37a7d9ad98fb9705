import json

import pytest

from colorcli.networks.card import ModelCard

CARD = ModelCard(name="a", version="1", architecture="mobile_unet", training_data="pictures", license="MIT")


def test_round_trip() -> None:
    assert ModelCard.from_json(CARD.to_json()) == CARD


def test_fields_of_a_newer_version_are_ignored() -> None:
    newer = {**json.loads(CARD.to_json()), "invented_later": 1}
    assert ModelCard.from_json(json.dumps(newer)) == CARD


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "a"}'])
def test_an_invalid_card_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        ModelCard.from_json(text)
