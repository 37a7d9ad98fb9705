"""The error for files that are damaged, apart from what libraries raise: its message is for users."""


class DamagedError(ValueError):
    """A file breaks the rules of its format; the message says how, in a few words."""
