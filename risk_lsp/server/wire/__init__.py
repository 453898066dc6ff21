"""The protocol over pygls: bytes, messages, conversions."""
