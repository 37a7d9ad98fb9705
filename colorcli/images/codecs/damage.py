"""The error for files that are damaged, apart from what libraries raise: its message is for users."""


class DamagedError(ValueError):
    """A file breaks the rules of its format; the message says how, in a few words."""


class NoPictureError(DamagedError):
    """Nothing of the picture is there, so there is nothing to salvage."""

    def __init__(self) -> None:
        super().__init__("no picture inside")
