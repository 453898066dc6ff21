"""Text in, risks out: the model, the probe and the calibration of one bundle, working together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from risk_lsp.probe.manifest import default_bundle_path
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import PartialRisk, SpanRisk, spans_of_tokens
from risk_lsp.text.document import Span
from risk_lsp.text.normal_form import ModelText
from risk_lsp.text.structure import statement_starts

if TYPE_CHECKING:
    from risk_lsp.model.activations import Activations, Encoding, WindowMemory
    from risk_lsp.probe.bundle import Bundle
    from risk_lsp.probe.scoring import TokenReading

_TOKENS_AT_ONCE = 65_536  # bounds the activations held in memory while many texts are scored


class Engine:
    """A loaded bundle: its `manifest`, and the code `model` that its probe reads.

    Not for use from two threads at once. Importing this module does not import torch.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.manifest, self.model = bundle.manifest, bundle.model
        self._reader = bundle.reader

    @classmethod
    def load(
        cls,
        bundle_path: Path | None = None,
        *,
        device: str = "auto",
        dtype: str = "auto",
        offline: bool = True,
        threads: int | None = None,
        whole_model: bool = False,
    ) -> Engine:
        """Load a bundle, by default the embedded one. Raises BundleError or ModelError.

        With `whole_model` token statistics can be read even if the bundle's probe does without them.
        """
        # Read when torch is first imported: threads that wait sleep, and do not spin against the editor.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from risk_lsp.probe.bundle import load_bundle

        path = bundle_path or default_bundle_path()
        return cls(
            load_bundle(path, device=device, dtype=dtype, offline=offline, threads=threads, whole_model=whole_model)
        )

    def describe(self) -> dict[str, Any]:
        """The bundle in a few words, as JSON: name, hash of the probe, model, device, layers, figures, reference table,
        places."""
        model, manifest = self.model, self.manifest
        return {
            "name": manifest.name,
            "probe_hash": manifest.probe_hash,
            "model": model.name,
            "device": model.device,
            "dtype": model.dtype,
            "context": model.context,
            "layers": list(manifest.layers),
            "architecture": manifest.architecture,
            "created": manifest.created,
            "figures": manifest.figures,
            "reference": manifest.reference,
            "places": manifest.priors.to_json(),
        }

    def model_text(self, text: str, language_id: str = "python") -> ModelText:
        """What the model reads of a text, as the bundle says."""
        return ModelText(text, self.manifest.reading, language_id)

    def score(self, text: str, language_id: str = "python") -> SpanRisk:
        """The risks of one text, from one run of the model."""
        return self.score_many([text], language_id)[0]

    def rescore(
        self,
        text: str,
        language_id: str,
        memory: WindowMemory,
        *,
        at: int = 0,
        on_part: Callable[[PartialRisk], None] = lambda _: None,
    ) -> SpanRisk:
        """As `score`, to float16, without running again what `memory` holds of earlier versions of the text.

        The surroundings of the character `at` are read first. While a long text is read, `on_part` sees what is known
        so far, a few times.
        """
        model, manifest = self.model, self.manifest
        given = self.model_text(text, language_id)
        encoding = model.encode(given.text)
        activations = model.reread(
            encoding,
            manifest.layers,
            memory,
            boundaries=self._boundaries(given, encoding),
            statistics=manifest.statistics,
            at=int(encoding.tokens_at([given.span_in_text(Span(at, at)).start])[0]),
            on_part=lambda known: on_part(self.partial_risk(given, known, encoding)),
        )
        return self.risk(given, activations)

    def score_many(self, texts: Sequence[str], language_id: str = "python") -> list[SpanRisk]:
        """The risks of many texts, in order; texts of similar length share a run of the model."""
        risks: list[SpanRisk] = []
        pending: list[ModelText] = []
        encodings: list[Encoding] = []
        for text in texts:
            pending.append(self.model_text(text, language_id))
            encodings.append(self.model.encode(pending[-1].text))
            if sum(map(len, encodings)) >= _TOKENS_AT_ONCE:
                risks += self._read(pending, encodings)
                pending, encodings = [], []
        return risks + self._read(pending, encodings)

    def _read(self, texts: list[ModelText], encodings: list[Encoding]) -> list[SpanRisk]:
        read = self.read(texts, encodings, statistics=self.manifest.statistics)
        return [self.risk(text, activations) for text, activations in zip(texts, read, strict=True)]

    def read(self, texts: Sequence[ModelText], encodings: Sequence[Encoding], *, statistics: bool) -> list[Activations]:
        """Run the model over encoded texts at the bundle's layers, exactly as scoring does."""
        boundaries = [self._boundaries(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]
        return self.model.read_many(encodings, self.manifest.layers, boundaries=boundaries, statistics=statistics)

    def _boundaries(self, given: ModelText, encoding: Encoding) -> Sequence[int]:
        # Only texts that need more than one window are cut, so only they need to be parsed.
        if len(encoding) < self.model.window - 1:
            return ()
        starts: list[int] = encoding.tokens_at(statement_starts(given.text, given.language_id)).tolist()
        return starts

    def risk(self, given: ModelText, activations: Activations) -> SpanRisk:
        """The risks of a text whose activations (at the bundle's layers) are known."""
        from risk_lsp.probe.scoring import read_tokens

        return self._risk(given, activations, read_tokens(self._reader, given.text, activations, self.manifest))

    def partial_risk(self, given: ModelText, known: Activations, whole: Encoding) -> PartialRisk:
        """The risks of some of a text's tokens; those of the others are taken to be like them."""
        from risk_lsp.probe.scoring import read_tokens

        reading = read_tokens(self._reader, given.text, known, self.manifest, whole)
        # How unlike others the text is can be said of the whole alone.
        risks = self._risk(given, known, reading._replace(novelty=None))
        tokens = spans_of_tokens(known.encoding.starts, known.encoding.ends)
        return PartialRisk(risks, given.stretches_in_document(tokens))

    def _risk(self, given: ModelText, activations: Activations, reading: TokenReading) -> SpanRisk:
        starts, ends = given.spans_in_document(activations.encoding.starts, activations.encoding.ends)
        calibration = self.manifest.calibration
        return RiskMap(len(given.document), starts, ends, reading.values, calibration, novelty=reading.novelty)
