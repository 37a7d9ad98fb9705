"""PDFs: the pictures inside get color in their places, all else stays."""

import io
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from support.cli import events, run_cli
from support.images import gray
from support.scenes import Colorize, color_scene, scene

pikepdf = pytest.importorskip("pikepdf", reason="pikepdf is not installed")

from colorcli.errors import InputError, RefusedError  # noqa: E402
from colorcli.models.provenance import DIGITAL_SOURCE_TYPE  # noqa: E402

WORDS = b"q 200 0 0 150 0 0 cm /Picture Do Q BT /F1 12 Tf 3 Tr (words that were recognized) Tj ET"


def jpeg(pixels: np.ndarray) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=90)
    return target.getvalue()


def pictures(depth: int = 8) -> dict[str, tuple[bytes, str, str, int]]:
    """Data, filter, color space and bits of a gray picture, stored in every way that is read."""
    deep = scene(97, 131, 65535).astype(">u2")
    jp2 = imagecodecs.jpeg2k_encode(scene(97, 131), level=0, codecformat="jp2", reversible=True)
    return {
        "jpeg": (jpeg(scene(97, 131)), "/DCTDecode", "/DeviceGray", 8),
        "jpeg 2000": (jp2, "/JPXDecode", "/DeviceGray", 8),
        "deflated": (zlib.compress(scene(97, 131).tobytes()), "/FlateDecode", "/DeviceGray", 8),
        "16 bits": (zlib.compress(deep.tobytes()), "/FlateDecode", "/DeviceGray", 16),
        "neutral": (
            zlib.compress(np.stack([scene(97, 131)] * 3, 2).tobytes()),
            "/FlateDecode",
            "/DeviceRGB",
            8,
        ),
    }


def bilevel() -> tuple[bytes, str, str, int]:
    return (
        zlib.compress(np.packbits(scene(97, 131) > 128, axis=1).tobytes()),
        "/FlateDecode",
        "/DeviceGray",
        1,
    )


def written(path: Path, *images: tuple[bytes, str, str, int], rotate: int = 0) -> Path:
    """A PDF with one picture a sheet, over which there is invisible text."""
    with pikepdf.new() as pdf:
        for data, kind, space, bits in images:
            picture = pdf.make_stream(
                data, Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Image, Width=131, Height=97,
                BitsPerComponent=bits, ColorSpace=pikepdf.Name(space),
            )  # fmt: skip
            picture.write(data, filter=pikepdf.Name(kind))
            sheet = pdf.add_blank_page(page_size=(200, 150))
            sheet.obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Picture=picture))
            sheet.obj.Contents = pdf.make_stream(WORDS)
            sheet.obj.Rotate = rotate
        pdf.docinfo["/Title"] = "Album 3"
        pdf.save(path)
    return path


def inside(path: Path) -> list[Any]:
    with pikepdf.open(path) as pdf:
        streams = [image for sheet in pdf.pages for image in sheet.Resources.XObject.values()]
        return [np.asarray(pikepdf.PdfImage(stream).as_pil_image()) for stream in streams]


@pytest.mark.parametrize("kind", [kind for kind in pictures() if kind != "16 bits"])
def test_gray_is_kept(kind: str, tmp_path: Path, colorize: Colorize) -> None:
    source = written(tmp_path / "in.pdf", pictures()[kind])
    assert colorize(source, tmp_path / "out.pdf", saturation=2.0).action == "colorized"
    (before,), (after,) = inside(source), inside(tmp_path / "out.pdf")
    assert after.shape == (97, 131, 3)
    assert np.abs(gray(after) - gray(before)).max() <= 1
    assert np.ptp(after.astype(int), axis=2).max() > 8


def test_16_bits_stay(tmp_path: Path, colorize: Colorize) -> None:
    source = written(tmp_path / "in.pdf", pictures()["16 bits"])
    colorize(source, tmp_path / "out.pdf")
    with pikepdf.open(tmp_path / "out.pdf") as pdf:
        (picture,) = pdf.pages[0].Resources.XObject.values()
        samples = np.frombuffer(picture.read_bytes(), ">u2").reshape(97, 131, 3)
    assert np.abs(gray(samples.astype(np.uint16)) - scene(97, 131, 65535)).max() <= 1


def test_all_else_stays(tmp_path: Path, colorize: Colorize) -> None:
    source = written(tmp_path / "in.pdf", *pictures().values(), bilevel())
    notes: list[str] = []
    outcome = colorize(source, tmp_path / "out.pdf", on_note=notes.append)
    assert outcome.facts["pages"] == len(pictures())
    assert notes == ["left as they are: 1 images in black and white only (text, line drawings)"]
    with pikepdf.open(source) as before, pikepdf.open(tmp_path / "out.pdf") as after:
        assert not after.check_pdf_syntax() if hasattr(after, "check_pdf_syntax") else not after.check()
        assert after.docinfo["/Title"] == "Album 3"
        assert [sheet.Contents.read_bytes() for sheet in after.pages] == [WORDS] * 6
        assert DIGITAL_SOURCE_TYPE.encode() in after.Root.Metadata.read_bytes()
        (old,), (new,) = before.pages[5].Resources.XObject.values(), after.pages[5].Resources.XObject.values()
        assert new.read_bytes() == old.read_bytes()


def test_another_renderer_shows_the_same_gray(tmp_path: Path, colorize: Colorize) -> None:
    pdfium = pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed")
    source = written(tmp_path / "in.pdf", *pictures().values())
    colorize(source, tmp_path / "out.pdf")
    for sheet in range(len(pictures())):
        shown = []
        for path in (source, tmp_path / "out.pdf"):
            document = pdfium.PdfDocument(path)
            shown.append(gray(np.asarray(document[sheet].render(scale=2).to_pil().convert("RGB"))))
            document.close()
        assert np.abs(shown[1] - shown[0]).max() <= 2


def test_pictures_in_color_stay(tmp_path: Path, colorize: Colorize) -> None:
    color = (jpeg(color_scene(97, 131)), "/DCTDecode", "/DeviceRGB", 8)
    source = written(tmp_path / "in.pdf", color)
    assert colorize(source, tmp_path / "out.pdf").action == "copied"
    assert (tmp_path / "out.pdf").read_bytes() == source.read_bytes()
    both = written(tmp_path / "both.pdf", color, pictures()["jpeg"])
    colorize(both, tmp_path / "out.pdf")
    with pikepdf.open(tmp_path / "out.pdf") as after:
        (picture,) = after.pages[0].Resources.XObject.values()
        assert picture.read_raw_bytes() == color[0]


def test_a_turned_sheet_as_tiff(tmp_path: Path, colorize: Colorize) -> None:
    source = written(tmp_path / "in.pdf", *list(pictures().values())[:3], rotate=90)
    colorize(source, tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert len(file.pages) == 3
        for page in file.pages:
            assert page.tags["Orientation"].value == 6
            assert page.shape == (97, 131, 3)
        assert np.abs(gray(file.pages[2].asarray()) - scene(97, 131)).max() <= 1


def test_what_is_not_done_is_named(tmp_path: Path, colorize: Colorize) -> None:
    with pytest.raises(InputError, match="no gray or color pictures inside"):
        colorize(written(tmp_path / "in.pdf", bilevel()), tmp_path / "out.pdf")
    Image.fromarray(scene()).save(tmp_path / "in.png")
    with pytest.raises(RefusedError, match="only a PDF can be written as PDF"):
        colorize(tmp_path / "in.png", tmp_path / "out.pdf")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4\n" + bytes(100))
    with pytest.raises(InputError, match=r"broken\.pdf: damaged PDF"):
        colorize(tmp_path / "broken.pdf", tmp_path / "out.pdf")
    source = written(tmp_path / "in.pdf", pictures()["jpeg"])
    sized = tmp_path / "sized.pdf"
    sized.write_bytes(source.read_bytes().replace(b"/Width 131", b"/Width /31"))
    with pytest.raises(InputError, match="/Width is no number"):
        colorize(sized, tmp_path / "out.pdf")
    with pikepdf.open(source) as pdf:
        pdf.save(tmp_path / "locked.pdf", encryption=pikepdf.Encryption(owner="a", user="b"))
    with pytest.raises(InputError, match="an encrypted PDF"):
        colorize(tmp_path / "locked.pdf", tmp_path / "out.pdf")


def test_the_command_line(tmp_path: Path, toy_model: Path) -> None:
    written(tmp_path / "in.pdf", *(picture for kind, picture in pictures().items() if kind != "16 bits"))
    run = run_cli("run", tmp_path / "in.pdf", "-o", tmp_path / "out", "--model", toy_model, "--json")
    assert run.returncode == 0, run.stderr
    done = next(event for event in events(run.stdout) if event["event"] == "done")
    assert done["output"] == str(tmp_path / "out" / "in.pdf")
    assert len(inside(tmp_path / "out" / "in.pdf")) == 4
