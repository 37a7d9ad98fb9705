"""Other projects' models through the real command line: chroma as they give it, luma as the source has it."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import stand_ins, videos
from support.cli import run_cli
from support.images import gray, load, save
from support.stand_ins import STAND_INS, StandIn

from colorcli.models import open_model
from colorcli.models.registry import KINDS
from colorcli.networks.card import ModelCard

ALL = sorted(STAND_INS)
Picture = np.ndarray[Any, Any]


def ramp(height: int = 64, width: int = 64) -> Picture:
    """A smooth gray picture [H, W], dark left and bright right, where every stand-in's colors are in sRGB."""
    return np.rint(np.linspace(90, 170, width))[None].repeat(height, axis=0).astype(np.uint8)


def colorize(tmp_path: Path, picture: Picture, *flags: object) -> Picture:
    source, output = save(tmp_path / "gray.png", picture), tmp_path / "color.png"
    done = run_cli("run", source, "-o", output, "--overwrite", *flags)
    assert done.returncode == 0, done.stderr.decode()
    return load(output)


def assert_colors(
    colored: Picture, source: Picture, *parts: tuple[StandIn, float], within: float = 2
) -> None:
    """The luma is the source's, and the chroma is the weighted mean of what the stand-ins give, in levels."""
    np.testing.assert_array_equal(gray(colored), source)
    rgb = colored.astype(float)
    luma = rgb @ [0.299, 0.587, 0.114]
    chroma = np.stack([(rgb[..., 2] - luma) / 1.772, (rgb[..., 0] - luma) / 1.402])
    expected = sum(weight * one.chroma(source / 255) for one, weight in parts)
    assert np.abs(chroma - 255 * expected).max() <= 2


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
@pytest.mark.parametrize("size", [64, None], ids=["fixed", "free"])
@pytest.mark.parametrize("kind", ALL)
def test_a_still_has_the_models_chroma_on_its_own_luma(
    kind: str, size: int | None, half: bool, tmp_path: Path
) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", kind, size, half=half)
    picture = ramp()
    colored = colorize(tmp_path, picture, "--model", model, "--model-kind", kind)
    assert_colors(colored, picture, (STAND_INS[kind], 1))


@pytest.mark.parametrize("size", [64, None], ids=["stretched", "padded"])
@pytest.mark.parametrize("kind", ["ddcolor", "deoldify", "eccv16-caffe"])
def test_pictures_of_another_shape_are_stretched_or_padded(
    kind: str, size: int | None, tmp_path: Path
) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", kind, size)
    picture = ramp(75, 130)
    colored = colorize(tmp_path, picture, "--model", model, "--model-kind", kind)
    assert_colors(colored, picture, (STAND_INS[kind], 1))


@pytest.mark.parametrize("kind", ALL)
def test_channels_may_come_last(kind: str, tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", kind, channels_last=True)
    picture = ramp()
    colored = colorize(tmp_path, picture, "--model", model, "--model-kind", kind)
    assert_colors(colored, picture, (STAND_INS[kind], 1))


def test_the_network_takes_hints(tmp_path: Path) -> None:
    model = stand_ins.write_with_hints(tmp_path / "m.onnx")
    picture = np.full((64, 64), 128, np.uint8)
    assert_colors(colorize(tmp_path, picture, "--model", model), picture, (STAND_INS["siggraph17"], 1))
    (tmp_path / "h.csv").write_text("32,32,#a07870\n")
    hinted = colorize(tmp_path, picture, "--model", model, "--hints", tmp_path / "h.csv")
    np.testing.assert_array_equal(gray(hinted), picture)
    assert int(hinted[32, 32, 0]) - int(hinted[32, 32, 2]) == pytest.approx(0xA0 - 0x70, abs=4)


@pytest.mark.parametrize("kind", ["ddcolor", "deoldify", "siggraph17"])
def test_a_film_has_the_models_chroma_on_its_own_luma(kind: str, tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", kind)
    flat = ["-f", "lavfi", "-i", "color=gray:s=64x64:r=25:d=0.4,format=yuv444p,geq=lum=128:cb=128:cr=128"]
    film = videos.make(tmp_path / "film.mkv", *flat, "-c:v", "ffv1")
    videos.run(model, film, tmp_path / "color.mkv", "--codec", "ffv1", "--model-kind", kind)
    cb, cr = 128 + 224 * STAND_INS[kind].chroma(np.array((128 - 16) / 219))
    assert len(videos.planes(tmp_path / "color.mkv")) == 10
    for index, expected in enumerate((128, cb, cr)):
        for before, after in zip(
            videos.planes(film), videos.planes(tmp_path / "color.mkv", index), strict=True
        ):
            assert np.abs(after - expected).max() <= (0 if index == 0 else 1.5)
            assert index or np.array_equal(before, after)


@pytest.mark.parametrize(("flag", "weights"), [("", (0.5, 0.5)), (":0.4", (0.6, 0.4))])
def test_a_blend_is_the_weighted_mean(flag: str, weights: tuple[float, float], tmp_path: Path) -> None:
    one = stand_ins.write(tmp_path / "one.onnx", "ddcolor")
    two = stand_ins.write(tmp_path / "two.onnx", "deoldify", None)
    kinds = ("--model-kind", "auto", "--model-kind", "deoldify")
    picture = ramp()
    colored = colorize(tmp_path, picture, "--model", one, "--model", f"{two}{flag}", *kinds)
    parts = zip((STAND_INS["ddcolor"], STAND_INS["deoldify"]), weights, strict=True)
    assert_colors(colored, picture, *parts)


@pytest.mark.parametrize(
    ("models", "cause"),
    [
        (["{m}:0.5", "{m}:0.6"], "do not sum to 1"),
        (["{m}", "{m}:1.5"], "leave no share"),
        (["{m}:0.4"], "do not sum to 1"),
        (["{m}", "{m}:-0.2"], "not all above 0"),
    ],
)
def test_weights_that_do_not_make_one_are_refused(models: list[str], cause: str, tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", "ddcolor")
    flags = [word for text in models for word in ("--model", text.format(m=model))]
    assert cause in refusal(tmp_path, 2, *flags)


def refusal(tmp_path: Path, code: int, *flags: object) -> str:
    """The one line with which a run ends that cannot begin."""
    source = save(tmp_path / "gray.png", ramp())
    done = run_cli("run", source, "-o", tmp_path / "color.png", *flags)
    assert done.returncode == code
    assert not (tmp_path / "color.png").exists()
    return done.stderr.decode()


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [
        ("deoldify", "deoldify, deoldify-normalized, rgb"),
        ("eccv16", "eccv16, siggraph17"),
    ],
)
def test_kinds_with_the_same_tensors_are_asked_about(kind: str, kinds: str, tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "ddcolor.onnx", kind)  # the name of the file says nothing
    message = refusal(tmp_path, 3, "--model", model)
    assert "input [1, " in message
    assert "--model-kind" in message
    assert kinds in message


@pytest.mark.parametrize("kind", ["ddcolor", "eccv16-caffe"])
def test_tensors_of_one_kind_only_need_no_flag(kind: str, tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "deoldify.onnx", kind)
    picture = ramp()
    assert_colors(colorize(tmp_path, picture, "--model", model), picture, (STAND_INS[kind], 1))


@pytest.mark.parametrize(
    ("kind", "wrong"), [("ddcolor", "deoldify"), ("deoldify", "ddcolor"), ("eccv16", "eccv16-caffe")]
)
def test_a_kind_with_other_tensors_is_refused(kind: str, wrong: str, tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", kind)
    message = refusal(tmp_path, 3, "--model", model, "--model-kind", wrong)
    assert f"cannot be of kind {wrong}" in message
    assert kind in message.split("can be: ")[1]


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [("deoldify-normalized", "deoldify"), ("deoldify", "deoldify-normalized"), ("deoldify", "rgb")],
)
def test_a_kind_with_another_range_is_refused(kind: str, wrong: str, tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", kind)
    message = refusal(tmp_path, 3, "--model", model, "--model-kind", wrong)
    assert f"not a model of kind {wrong}" in " ".join(message.split())


def test_what_is_no_colorizer_is_refused_with_its_tensors_and_all_kinds(tmp_path: Path) -> None:
    nodes = [stand_ins.helper.make_node("GlobalAveragePool", ["photo"], ["scores"])]
    model = stand_ins.save(
        tmp_path / "m.onnx", nodes, {"photo": [1, 5, 64, 64]}, {"scores": [1, 5, 1, 1]}, []
    )
    message = refusal(tmp_path, 3, "--model", model)
    assert "photo [1, 5, 64, 64]" in message
    assert "scores [1, 5, 1, 1]" in message
    assert all(kind in message for kind in ALL)


def test_unknown_kinds_and_too_many_are_refused(tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", "ddcolor")
    message = refusal(tmp_path, 2, "--model", model, "--model-kind", "dcolor")
    assert all(kind in message for kind in KINDS)
    refusal(tmp_path, 2, "--model", model, *["--model-kind", "ddcolor"] * 2)


def test_doctor_knows_the_model(tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", "deoldify")
    done = run_cli("doctor", "--model", model, "--model-kind", "deoldify", "--json")
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    (detail,) = [one["detail"] for one in found["findings"] if one["what"] == "model"]
    assert "deoldify" in detail
    assert "64 pixels" in detail
    assert found["speeds"]


def test_the_configuration_may_name_one_model(tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", "deoldify")
    config = tmp_path / "config.toml"
    config.write_text(f'[run]\nmodel = "{model}"\nmodel_kind = "deoldify"\n')
    source = save(tmp_path / "gray.png", ramp())
    environment = {**os.environ, "COLORCLI_CONFIG": str(config)}
    done = run_cli("run", source, "-o", tmp_path / "color.png", env=environment)
    assert done.returncode == 0, done.stderr.decode()
    assert_colors(load(tmp_path / "color.png"), ramp(), (STAND_INS["deoldify"], 1))


def test_changed_weights_change_the_digest_those_beside_the_file_included(tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", "ddcolor")
    digests = {card_of(model).digest}
    Path(f"{model}.data").write_bytes(b"weights")
    digests.add(card_of(model).digest)
    stand_ins.write(model, "ddcolor", 96)
    digests.add(card_of(model).digest)
    assert len(digests) == 3


def card_of(model: Path) -> ModelCard:
    with open_model(model, "cpu") as opened:
        return opened.card


def test_provenance_names_kind_and_digest(tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", "ddcolor")
    colorize(tmp_path, ramp(), "--model", model)
    written = (tmp_path / "color.png").read_bytes()
    assert b"ddcolor" in written
    assert card_of(model).digest[:12].encode() in written


def test_cards_differ_by_file_and_by_weights_of_a_blend(tmp_path: Path) -> None:
    one, other = (stand_ins.write(tmp_path / f"{size}.onnx", "ddcolor", size) for size in (64, 96))
    assert card_of(one) != card_of(other)
    with open_model([one, other], "cpu") as blend, open_model([one, Path(f"{other}:0.4")], "cpu") as weighted:
        assert blend.card.digest != weighted.card.digest
        assert blend.card.working_size == 96
