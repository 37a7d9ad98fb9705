"""Film: every frame, every stream, steady color."""

from colorcli.video.colorize import check_video, colorize_video

__all__ = ["check_video", "colorize_video"]
