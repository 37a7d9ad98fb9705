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
    '<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '</rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
)
_NO_NAME = '""'
_CLOSING = re.compile(r"</\s*([\w.-]+):RDF\s*>|<([\w.-]+):RDF([^<>]*)/>", re.ASCII)
_PREFIX = re.compile(rf"xmlns:([\w.-]+)\s*=\s*[\"']{re.escape(NAMESPACE)}[\"']")
_ABOUT = re.compile(r'rdf:about\s*=\s*("[^"]*"|\'[^\']*\')')


def with_provenance(packet: bytes | None, card: ModelCard) -> bytes | None:
    """The XMP packet, or a new one, with the model of `card` named as the source of the color.

    It keeps its own encoding; None if it is not XMP that could be extended.
    """
    encoding = _encoding(packet or b"")
    try:
        text = (packet or b"").decode(encoding).rstrip("\0")
    except UnicodeDecodeError:
        return None
    text = text if text.strip("\0\ufeff \t\r\n") else _EMPTY
    return _extended(text, card).encode(encoding) if _CLOSING.search(text) else None


def _encoding(packet: bytes) -> str:
    """UTF-16 or UTF-32 by the first characters; all others agree with Latin-1 in what is ASCII."""
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        if packet.startswith(("\ufeff".encode(encoding), "<".encode(encoding))):
            return encoding
    return "latin-1"


def _extended(text: str, card: ModelCard) -> str:
    values = dict(zip(TERMS, (DIGITAL_SOURCE_TYPE, f"colorcli {card.name}", card.version), strict=True))
    text = _without_terms(text)
    about = _ABOUT.search(text)
    attributes = " ".join(f'Iptc4xmpExt:{term}="{_escaped(value)}"' for term, value in values.items())
    closing = _CLOSING.search(text)
    assert closing is not None  # see `with_provenance`
    prefix = closing[1] or closing[2]
    description = (
        f"<{prefix}:Description {prefix}:about={about[1] if about else _NO_NAME}"
        f' xmlns:Iptc4xmpExt="{NAMESPACE}" {attributes}/>'
    )
    if closing[1]:
        return text[: closing.start()] + description + text[closing.start() :]
    opened = f"<{prefix}:RDF{closing[3]}>{description}</{prefix}:RDF>"
    return text[: closing.start()] + opened + text[closing.end() :]


def _escaped(value: str) -> str:
    return escape(value).encode("ascii", "xmlcharrefreplace").decode()


def _without_terms(text: str) -> str:
    """Remove earlier values of the terms, written as attributes or as elements, by whatever prefix."""
    for prefix in dict.fromkeys(_PREFIX.findall(text)):
        for term in TERMS:
            name = rf"{re.escape(prefix)}:{term}"
            text = re.sub(rf"[ \t\r\n]+{name}\s*=\s*(\"[^\"]*\"|'[^']*')", "", text)
            text = re.sub(rf"<{name}\b[^>]*(/>|>.*?</{name}\s*>)", "", text, flags=re.S)
    return text
