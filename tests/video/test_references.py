"""Colorized frames as references for their shots."""

from pathlib import Path

import av
import cv2
import numpy as np
from support.videos import make, planes, run

from colorcli.video.references import find_references

FFV1 = ["-c:v", "ffv1", "-pix_fmt", "yuv420p"]


def test_references_are_found_by_number_and_timecode(tmp_path: Path) -> None:
    for name in ("shot1_000123.png", "00-00-02-12.jpg", "00.00.10.500.tif", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [reference.frame for reference in find_references(tmp_path, 24)] == [60, 123, 252]


def test_a_reference_colors_its_shot_in_both_directions(tmp_path: Path, toy_model: Path) -> None:
    truth = make(
        tmp_path / "truth.mkv", "-f", "lavfi", "-i", "testsrc2=s=160x120:r=25,trim=duration=0.8", *FFV1
    )
    source = make(tmp_path / "in.mkv", "-i", truth, "-vf", "hue=s=0", *FFV1)
    with av.open(truth) as container:
        frame = list(container.decode(video=0))[10].to_ndarray(format="bgr24")
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "000010.png"), frame)
    plain, guided = tmp_path / "plain.mkv", tmp_path / "guided.mkv"
    run(toy_model, source, plain)
    run(toy_model, source, guided, "--references", tmp_path / "frames")

    def error(path: Path, number: int) -> float:
        pairs = [(planes(path, i)[number], planes(truth, i)[number]) for i in (1, 2)]
        return float(np.mean([np.abs(a.astype(float) - b).mean() for a, b in pairs]))

    for number in (4, 10, 16):
        assert error(guided, number) < 0.5 * error(plain, number)
