"""Colorized frames as references for their shots."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from support import stand_ins
from support.videos import gray, make, planes, run

from colorcli.color.ycbcr import rgb_from_ycbcr
from colorcli.errors import UsageError
from colorcli.video.probe import open_video, probe
from colorcli.video.references import find_references

FFV1 = ["-c:v", "ffv1", "-pix_fmt", "yuv420p"]


def test_references_are_found_by_number_and_timecode(tmp_path: Path) -> None:
    for name in ("shot1_000123.png", "00-00-02-12.jpg", "00.00.10.500.tif", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [reference.frame for reference in find_references(tmp_path, 24)] == [60, 123, 252]


def test_two_pictures_for_one_frame_are_refused(tmp_path: Path) -> None:
    for name in ("000012.png", "painted_12.jpg"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match=r"frame 12, as 000012\.png"):
        find_references(tmp_path, 24)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_what_is_transparent_in_a_reference_is_not_given(tmp_path: Path, depth: type) -> None:
    film = make(tmp_path / "in.mkv", *gray(0.1, "64x48"), *FFV1)
    layer = np.full((96, 128, 4), (40, 90, 200, 255), np.uint8)
    layer[:, 64:] = 0
    cv2.imwrite(str(tmp_path / "000001.png"), layer.astype(depth) * (257 if depth is np.uint16 else 1))
    (reference,) = find_references(tmp_path, Fraction(25))
    with open_video(film) as container:
        colors = reference.colors((48, 64), probe(container, film, next(container.decode(video=0))))
    assert (colors.mask[:, :32] == 1).all()
    assert (colors.mask[:, 32:] == 0).all()
    assert np.ptp(colors.chroma[:, :, :32]) > 0.2
    assert colors.chroma[:, :, :32].std(axis=(1, 2)).max() < 1e-3


def test_a_shot_list_may_take_palettes_from_a_folder_without_frames(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25,trim=duration=0.2", *FFV1)
    folder = tmp_path / "palettes"
    folder.mkdir()
    cv2.imwrite(str(folder / "sunset.png"), np.full((64, 64, 3), (40, 90, 200), np.uint8))
    (tmp_path / "shots.csv").write_text("start,end,reference\n0,5,sunset.png\n")
    flags = ["--shots", tmp_path / "shots.csv", "--references", folder, "--recolor"]
    run(toy_model, source, tmp_path / "out.mkv", *flags)
    assert len(planes(tmp_path / "out.mkv")) == len(planes(source))


@pytest.mark.parametrize("kind", ["native", "deoldify"])
def test_a_reference_colors_its_shot_in_both_directions(kind: str, tmp_path: Path, toy_model: Path) -> None:
    model = toy_model if kind == "native" else stand_ins.write(tmp_path / "m.onnx", kind)
    flags = [] if kind == "native" else ["--model-kind", kind]
    truth = make(
        tmp_path / "truth.mkv", "-f", "lavfi", "-i", "testsrc2=s=160x120:r=25,trim=duration=0.8", *FFV1
    )
    source = make(tmp_path / "in.mkv", "-i", truth, "-vf", "hue=s=0", *FFV1)
    with av.open(truth) as container:
        frame = list(container.decode(video=0))[10].to_ndarray(format="bgr24")
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "000010.png"), frame)
    plain, guided = tmp_path / "plain.mkv", tmp_path / "guided.mkv"
    run(model, source, plain, *flags)
    run(model, source, guided, "--references", tmp_path / "frames", *flags)

    def error(path: Path, number: int) -> float:
        pairs = [(planes(path, i)[number], planes(truth, i)[number]) for i in (1, 2)]
        return float(np.mean([np.abs(a.astype(float) - b).mean() for a, b in pairs]))

    for number in (4, 10, 16):
        assert error(guided, number) < 0.5 * error(plain, number)


def test_predictions_do_not_outvote_a_reference(tmp_path: Path, toy_model: Path) -> None:
    """It has its own colors at its frame, a keyframe, and at those around it, which show the same things."""
    source = make(
        tmp_path / "in.mkv", *gray(0.2, "200x120"), "-vf",
        "trim=end_frame=1,loop=60:1,crop=160:120:n/4:0,setpts=N/25/TB,lutyuv=y=64+val/2", *FFV1,
    )  # fmt: skip
    number, chroma = 24, np.array([0.09, -0.11])
    luma = (planes(source)[number].astype(np.float32) - 16) / 219
    (tmp_path / "frames").mkdir()
    rgb = rgb_from_ycbcr(luma, np.broadcast_to(chroma[:, None, None], (2, *luma.shape))).transpose(1, 2, 0)
    cv2.imwrite(
        str(tmp_path / "frames" / f"{number:06d}.png"), np.rint(255 * rgb[..., ::-1]).astype(np.uint8)
    )
    plain, guided = tmp_path / "plain.mkv", tmp_path / "guided.mkv"
    run(toy_model, source, plain)
    run(toy_model, source, guided, "--references", tmp_path / "frames", "--codec", "ffv1")

    def farthest(path: Path) -> list[float]:
        """The largest difference in each frame, without the border that has come into view."""
        colors = np.stack([planes(path, 1), planes(path, 2)], axis=1)[..., 4:-4, 8:-8].astype(float)
        return list(np.abs(colors - 128 - 224 * chroma[:, None, None]).max(axis=(1, 2, 3)))

    assert min(farthest(plain)) > 10
    errors = farthest(guided)
    assert errors[number] <= 1.5
    assert max(errors[number - 12 : number + 13]) <= 3
