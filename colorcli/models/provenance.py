"""What outputs say of themselves: IPTC's term for pictures that a trained model has added to."""

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""Photo Metadata Standard, Digital Source Type: a composite that includes trained algorithmic media."""
