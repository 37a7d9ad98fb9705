"""Film and television headers of DPX pictures reach the output."""

import struct
from pathlib import Path

import av
import pytest
from support.videos import gray, make, run

from colorcli.video import dpx

KEYS = b"KD" + b"27" + b"03" + b"123456" + b"0042"


def scan(path: Path, order: str) -> None:
    """Add a scanner's headers, in either byte order, to a picture that ffmpeg wrote."""
    head = bytearray(2048)
    head[:4] = b"SDPX" if order == ">" else b"XPDS"
    struct.pack_into(order + "I", head, 4, 2048)
    head[1664 : 1664 + len(KEYS)] = KEYS
    struct.pack_into(order + "f", head, 1724, 18.0)
    struct.pack_into(order + "I", head, 1920, 0x01020304)
    path.write_bytes(dpx.with_film_header(path.read_bytes(), bytes(head)))


@pytest.mark.parametrize("order", [">", "<"])
def test_key_code_time_code_and_rate_are_carried(tmp_path: Path, toy_model: Path, order: str) -> None:
    (tmp_path / "in").mkdir()
    make(tmp_path / "in" / "f_%02d.dpx", *gray(0.1), "-pix_fmt", "gbrp10le")
    for picture in (tmp_path / "in").iterdir():
        scan(picture, order)
    run(toy_model, tmp_path / "in" / "f_%02d.dpx", tmp_path / "out" / "f_%02d.dpx")
    made = tmp_path / "out" / "f_02.dpx"
    content = made.read_bytes()
    ends = ">" if content[:4] == b"SDPX" else "<"
    assert content[1664 : 1664 + len(KEYS)] == KEYS
    assert struct.unpack_from(ends + "f", content, 1724) == (18.0,)
    assert struct.unpack_from(ends + "I", content, 1920) == (0x01020304,)
    assert struct.unpack_from(ends + "I", content, 16) == (len(content),)
    with av.open(str(made), format="image2", options={"pattern_type": "none"}) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.format.name) == (160, "gbrp10le")
    run(toy_model, tmp_path / "in" / "f_%02d.dpx", tmp_path / "out.mkv")
    with av.open(tmp_path / "out.mkv") as container:
        assert [frame.time for frame in container.decode(video=0)][1] == pytest.approx(1 / 18, abs=1e-3)
