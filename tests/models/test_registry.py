"""Which adapter opens a model file, and what is said of a file that none fits."""

from pathlib import Path

import onnx
import pytest
from support.toy import toy_generator

from colorcli.errors import SetupError
from colorcli.models import open_model
from colorcli.models.native import NativeModel
from colorcli.networks.card import CARD_KEY
from colorcli.options import DEFAULT_MODEL


def toy_with_metadata(path: Path, metadata: dict[str, str]) -> Path:
    model = onnx.load(toy_generator(path))
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def test_a_native_generator_gets_the_native_adapter(toy_model: Path) -> None:
    with open_model(toy_model, "cpu") as model:
        assert isinstance(model, NativeModel)


def test_the_included_model_has_a_name(toy_model: Path) -> None:
    with open_model(Path("default"), "cpu") as model, open_model(DEFAULT_MODEL, "cpu") as same:
        assert model.card == same.card
    with open_model([Path("default:0.4"), toy_model], "cpu") as blend:
        assert f"{same.card.name} {same.card.version}:0.4" in blend.card.version


def test_a_model_without_a_card_is_refused_with_the_tensors_it_has(tmp_path: Path) -> None:
    path = toy_with_metadata(tmp_path / "bare.onnx", {})
    with pytest.raises(SetupError, match=r"bare\.onnx: .*condition \[None, 4, None, None\]"):
        open_model(path, "cpu")


@pytest.mark.parametrize("card", ["", "[]", '{"name": "half"}'])
def test_a_model_with_an_incomplete_card_is_refused(card: str, tmp_path: Path) -> None:
    path = toy_with_metadata(tmp_path / "half.onnx", {CARD_KEY: card})
    with pytest.raises(SetupError, match=r"half\.onnx: .*colorcli export"):
        open_model(path, "cpu")
