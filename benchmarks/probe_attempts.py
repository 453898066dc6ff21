"""The variants that probe_variants.py compares, each one step away from the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from probe_heads import AttentionPoolHead, ReadingHazardHead, RecurrentLineHead

from risk_lsp.training.fit_probe import FitOptions

MakeHead = Callable[[int], Any]
Bugs = Literal["rules", "model"]


class Stage(NamedTuple):
    """One fit: what injected bugs weigh against real programs, what those weigh, and how it is done."""

    injected: float
    real: float
    options: FitOptions


@dataclass(frozen=True)
class Attempt:
    """One variant. `injected`: what bugs made by machine weigh; `bugs`: who makes them, rules or the model itself.

    `pretrained`: first on such bugs alone, then on real programs alone. `rank`: each token's rank among those that the
    model expected is read too. `renamed`: copies with other names for variables count as much as the programs.
    `per_problem`: it learns from at most so many passing and as many failing programs of a problem.
    """

    name: str
    layers: tuple[int, ...]
    head: MakeHead | None = None
    options: FitOptions = field(default_factory=FitOptions)
    statistics: bool = True
    rank: bool = False
    places: bool = False
    injected: float = 0.0
    pretrained: bool = False
    bugs: Bugs = "rules"
    renamed: bool = False
    per_problem: int | None = None
    seeds: int = 1

    def stages(self, seed: int) -> list[Stage]:
        """The fits of one member of the ensemble."""
        options = replace(self.options, seed=seed)
        if not self.pretrained:
            return [Stage(self.injected, 1.0, options)]
        return [Stage(1.0, 0.0, options), Stage(0.0, 1.0, replace(options, rate=options.rate / 2))]


def reading(hidden: int = 32, **options: Any) -> MakeHead:
    """A hazard probe that reads the tokens around."""
    return lambda features: ReadingHazardHead(features, hidden, **{"dropout": 0.3, **options})


def gru(features: int) -> RecurrentLineHead:
    """A line reader whose lines may know all the others of their part."""
    return RecurrentLineHead(features, 32)


def attempts(top: int) -> list[Attempt]:
    """All variants, the likeliest first."""
    two = ((top + 1) // 2, top)
    base = FitOptions(rate=1e-3, epochs=10, patience=2)
    conv = reading(reader="conv", depth=3, summary=True)
    first = [
        Attempt("hazard", two, options=base),
        Attempt("context: convolutions, summary", two, conv, base),
        Attempt("GRU both ways, summary", two, reading(reader="gru", summary=True), base),
        Attempt("attention over the text, summary", two, reading(reader="attention", summary=True), base),
        Attempt("summary, no reader", two, reading(summary=True), base),
        Attempt("convolutions, no summary", two, reading(reader="conv", depth=3), base),
    ]
    inputs = [
        Attempt("context, places", two, conv, base, places=True),
        Attempt("context, no statistics", two, conv, base, statistics=False),
        Attempt("context, statistics alone", (), conv, base),
        Attempt("context, all layers", tuple(range(top + 1)), conv, base),
        Attempt("context, last layer", (top,), conv, base),
        Attempt("context, layer 1", (1,), conv, base),
    ]
    fitting = [
        Attempt("context, dropout .5", two, reading(reader="conv", depth=3, summary=True, dropout=0.5), base),
        Attempt("context, weight decay 1", two, conv, replace(base, weight_decay=1.0)),
        Attempt("context, Brier loss", two, conv, replace(base, loss="brier")),
        Attempt("context, focal loss", two, conv, replace(base, loss="focal")),
        Attempt("context, lines count three times", two, conv, replace(base, shares=(1.0, 3.0, 1.0))),
        Attempt("context, programs count a third", two, conv, replace(base, shares=(1.0, 1.0, 0.33))),
        Attempt("context, rate 3e-4", two, conv, replace(base, rate=3e-4, epochs=20)),
        Attempt("context, no frailty", two, reading(reader="conv", depth=3, summary=True, frailty=False), base),
        Attempt("context, hidden 64", two, reading(64, reader="conv", depth=3, summary=True), base),
        Attempt("context, 3 seeds", two, conv, base, seeds=3),
        Attempt("hazard, 3 seeds", two, options=base, seeds=3),
    ]
    injected = [
        Attempt("hazard, injected bugs", two, options=base, injected=0.5),
        Attempt("context, injected bugs", two, conv, base, injected=0.5),
        Attempt("context, injected bugs first", two, conv, base, pretrained=True),
    ]
    lines = replace(base, architecture="lines")
    by_line = [
        Attempt("lines, statistics alone", (), options=lines, places=True),
        Attempt("lines", two, options=lines, places=True),
        Attempt("lines, statistics alone, 3 seeds", (), options=lines, places=True, seeds=3),
        Attempt("lines, 3 seeds", two, options=lines, places=True, seeds=3),
        Attempt("lines, GRU over them", two, gru, lines, places=True),
        Attempt("lines, rate 3e-4", two, options=replace(lines, rate=3e-4, epochs=20), places=True),
        Attempt("lines, statistics alone, injected bugs", (), options=lines, places=True, injected=0.5),
        Attempt("lines, injected bugs first", two, options=lines, places=True, pretrained=True),
        Attempt("lines, resampled bugs", two, options=lines, places=True, injected=0.5, bugs="model"),
        Attempt("lines, resampled bugs first", two, options=lines, places=True, pretrained=True, bugs="model"),
    ]
    by_line += [Attempt(f"lines, layer {layer}", (layer,), options=lines, places=True) for layer in range(top + 1)]
    by_line += [
        Attempt("lines, all layers", tuple(range(top + 1)), options=lines, places=True),
        *(
            Attempt(
                f"lines, weights averaged by {share}{f', {seeds} seeds' if seeds > 1 else ''}",
                two,
                options=replace(lines, averaging=share, epochs=20, patience=3),
                places=True,
                seeds=seeds,
            )
            for share in (0.99, 0.997)
            for seeds in (1, 3)
        ),
        *(
            Attempt(
                f"lines, layers {','.join(map(str, layers))}, weights averaged by 0.997",
                layers,
                options=replace(lines, averaging=0.997, epochs=20, patience=3),
                places=True,
            )
            for layers in (tuple(range(top - 4, top + 1, 2)), tuple(range(top - 4, top + 1)))
        ),
        Attempt("lines, all layers, 3 seeds", tuple(range(top + 1)), options=lines, places=True, seeds=3),
        Attempt(
            "lines, all layers, rate 3e-4",
            tuple(range(top + 1)),
            options=replace(lines, rate=3e-4, epochs=20),
            places=True,
        ),
        Attempt("lines, all layers but the first", tuple(range(1, top + 1)), options=lines, places=True),
        Attempt("lines, rank too", two, options=lines, places=True, rank=True),
        Attempt("lines, rank too, 3 seeds", two, options=lines, places=True, rank=True, seeds=3),
        Attempt(
            "lines, all layers, rank too, 3 seeds",
            tuple(range(top + 1)),
            options=lines,
            places=True,
            rank=True,
            seeds=3,
        ),
        Attempt("lines, rank alone", two, options=lines, places=True, statistics=False, rank=True),
        Attempt("lines, no statistics", two, options=lines, places=True, statistics=False),
        Attempt("lines, renamed copies", two, options=lines, places=True, renamed=True),
        Attempt("lines, renamed copies, 3 seeds", two, options=lines, places=True, renamed=True, seeds=3),
        *(
            Attempt(f"lines, learnt from {count} of a problem", two, options=lines, places=True, per_problem=count)
            for count in (1, 2, 4)
        ),
        Attempt(
            "lines, GRU over them, 3 seeds",
            two,
            lambda width: RecurrentLineHead(width, 32),
            lines,
            places=True,
            seeds=3,
        ),
    ]
    poolings = [
        Attempt("max-pool, Brier loss", two, options=replace(base, architecture="max_pool", loss="brier")),
        Attempt("attention pooling", two, lambda features: AttentionPoolHead(features, 32), base),
    ]
    return [*by_line, *first, *inputs, *fitting, *poolings, *injected]
