"""What the net says of one input."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    kind: str
    """`right`; `noted`: something differs and a note was given; `refused`; `words`: refused in words not fit
    for a user; `wrong`: the run succeeded and the output differs where it must not; `crash`."""
    name: str
    detail: str
