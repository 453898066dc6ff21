"""The variants that probe_variants.py compares, each one step away from the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from probe_heads import AttentionPoolHead, ReadingHazardHead

from risk_lsp.training.fit_probe import FitOptions

MakeHead = Callable[[int], Any]


class Stage(NamedTuple):
    """One fit: what injected bugs weigh against real programs, what those weigh, and how it is done."""

    injected: float
    real: float
    options: FitOptions


@dataclass(frozen=True)
class Attempt:
    """One variant. `pretrained`: first on injected bugs alone, then on real programs alone."""

    name: str
    layers: tuple[int, ...]
    head: MakeHead | None = None
    options: FitOptions = field(default_factory=FitOptions)
    statistics: bool = True
    places: bool = False
    injected: float = 0.5
    pretrained: bool = False
    seeds: int = 1

    def stages(self, seed: int) -> list[Stage]:
        """The fits of one member of the ensemble."""
        options = replace(self.options, seed=seed)
        if not self.pretrained:
            return [Stage(self.injected, 1.0, options)]
        return [Stage(1.0, 0.0, options), Stage(0.0, 1.0, replace(options, rate=options.rate / 2))]


def reading(hidden: int = 64, **options: Any) -> MakeHead:
    """A hazard probe that reads the tokens around."""
    return lambda features: ReadingHazardHead(features, hidden, **options)


def attempts(top: int) -> list[Attempt]:
    """All variants, the likeliest first."""
    middle = (top + 1) // 2
    two = (middle, top)
    slow = FitOptions(rate=2e-4, epochs=12, patience=3)
    quick = replace(slow, rate=1e-3)
    conv = reading(reader="conv", depth=3, summary=True, dropout=0.3)
    return [
        Attempt("hazard, hidden 32 (as shipped)", two, options=slow),
        Attempt("reader: convolutions, summary", two, conv, quick),
        Attempt("reader: GRU, summary", two, reading(reader="gru", summary=True, dropout=0.3), quick),
        Attempt("reader: attention, summary", two, reading(reader="attention", summary=True, dropout=0.3), quick),
        Attempt("summary alone", two, reading(summary=True, dropout=0.3), quick),
        Attempt("no reader, hidden 64", two, reading(dropout=0.3), quick),
        Attempt("no injected bugs", two, options=slow, injected=0.0),
        Attempt("convolutions, no injected bugs", two, conv, quick, injected=0.0),
        Attempt("convolutions, places", two, conv, quick, places=True),
        Attempt("convolutions, no statistics", two, conv, quick, statistics=False),
        Attempt("convolutions, all layers", tuple(range(top + 1)), conv, quick),
        Attempt("convolutions, last layer", (top,), conv, quick),
        Attempt(
            "convolutions, no frailty",
            two,
            reading(reader="conv", depth=3, summary=True, dropout=0.3, frailty=False),
            quick,
        ),
        Attempt("convolutions, dropout .5", two, reading(reader="conv", depth=3, summary=True, dropout=0.5), quick),
        Attempt("convolutions, weight decay 1", two, conv, replace(quick, weight_decay=1.0)),
        Attempt("convolutions, Brier loss", two, conv, replace(quick, loss="brier")),
        Attempt("convolutions, focal loss", two, conv, replace(quick, loss="focal")),
        Attempt("convolutions, lines count three times", two, conv, replace(quick, shares=(1.0, 3.0, 1.0))),
        Attempt("convolutions, injected then real", two, conv, quick, pretrained=True),
        Attempt(
            "convolutions, hidden 128", two, reading(128, reader="conv", depth=3, summary=True, dropout=0.5), quick
        ),
        Attempt("convolutions, 3 seeds", two, conv, quick, seeds=3),
        Attempt("max-pool, Brier loss", two, options=replace(slow, architecture="max_pool", loss="brier")),
        Attempt("attention pooling", two, lambda features: AttentionPoolHead(features, 32), slow),
        Attempt("hazard, 3 seeds", two, options=slow, seeds=3),
        Attempt("hazard, no frailty", two, reading(32, dropout=0.2, frailty=False), slow),
    ]
