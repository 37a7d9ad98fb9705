"""The term by which outputs declare that a trained model added to them."""

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC Photo Metadata Standard, Digital Source Type: a composite that includes trained algorithmic media."""
