"""Provenance in XMP: the color of a picture is the work of an algorithm, and of which model.

The terms are those of the IPTC Photo Metadata Standard 2025.1 (Digital Source Type, AI System Used, AI System
Version Used). They are added to the packet that a picture has; the rest of the packet is not changed.
"""

import re
from html import escape

from colorcli.models.provenance import DIGITAL_SOURCE_TYPE
from colorcli.networks.card import ModelCard

NAMESPACE = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
TERMS = ("DigitalSourceType", "AISystemUsed", "AISystemVersionUsed")

_EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '</rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
)
_NO_NAME = '""'
_CLOSING = re.compile(r"</\s*([\w.-]+):RDF\s*>|<([\w.-]+):RDF([^<>]*)/>")
_ABOUT = re.compile(r'rdf:about\s*=\s*("[^"]*"|\'[^\']*\')')


def with_provenance(packet: bytes | None, card: ModelCard) -> bytes:
    """The XMP packet, or a new one, with the model of `card` named as the source of the color.

    A packet that is not XMP in UTF-8 cannot be extended and is replaced.
    """
    text = _decoded(packet)
    values = dict(zip(TERMS, (DIGITAL_SOURCE_TYPE, f"colorcli {card.name}", card.version), strict=True))
    text = _without_terms(text)
    about = _ABOUT.search(text)
    attributes = " ".join(f'Iptc4xmpExt:{term}="{escape(value)}"' for term, value in values.items())
    closing = _CLOSING.search(text)
    assert closing is not None  # see `_decoded`
    prefix = closing[1] or closing[2]
    description = (
        f"<{prefix}:Description {prefix}:about={about[1] if about else _NO_NAME}"
        f' xmlns:Iptc4xmpExt="{NAMESPACE}" {attributes}/>'
    )
    if closing[1]:
        return (text[: closing.start()] + description + text[closing.start() :]).encode()
    opened = f"<{prefix}:RDF{closing[3]}>{description}</{prefix}:RDF>"
    return (text[: closing.start()] + opened + text[closing.end() :]).encode()


def _decoded(packet: bytes | None) -> str:
    try:
        text = (packet or b"").rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return _EMPTY
    return text if _CLOSING.search(text) else _EMPTY


def _without_terms(text: str) -> str:
    """Remove earlier values of the terms, written as attributes or as elements."""
    for term in TERMS:
        text = re.sub(rf"\s+Iptc4xmpExt:{term}\s*=\s*(\"[^\"]*\"|'[^']*')", "", text)
        text = re.sub(rf"<Iptc4xmpExt:{term}\b[^>]*(/>|>.*?</Iptc4xmpExt:{term}\s*>)", "", text, flags=re.S)
    return text
