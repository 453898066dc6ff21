"""Probabilities as people read them."""

from __future__ import annotations


def percent(probability: float) -> str:
    """Two digits at most: "41%"; never "0%" or "100%", since no span is known to be right or wrong."""
    rounded = round(100 * probability)
    if rounded < 1:
        return "<1%"
    return f"{rounded}%" if rounded < 100 else ">99%"
