"""Small folders of pictures, and what runs make of them."""

from pathlib import Path

from PIL import Image
from support.scenes import scene


def pictures(folder: Path, count: int) -> list[Path]:
    """Write PNGs and JPEGs by turns, each different."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03}.{'jpg' if number % 2 else 'png'}" for number in range(count)]
    for number, path in enumerate(paths):
        Image.fromarray(scene(60 + number, 80)).save(path)
    return paths


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the state of runs."""
    names = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(".colorcli")}
