"""Film: every frame, every stream, steady colour."""

from colorcli.film.colorize import check_film, colorize_film

__all__ = ["check_film", "colorize_film"]
