"""The evaluation as one Markdown page: its figures, and sentences that follow from them, unwelcome ones included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from risk_lsp.lab.evaluation.figures import BASE_RATE, HITS, PROBE, TRIVIAL
from risk_lsp.lab.span_tables import LEVELS

Techniques = Mapping[str, Mapping[str, list[float | None]]]


def data_sentences(found: Mapping[str, Any]) -> str:
    """Which programs, labels, model and recipe."""
    data = found["data"]
    unknown = data["failing"] - data["with_known_fix"]
    seeds = "one seed" if found["members"] == 1 else f"{found['members']} seeds"
    return (
        f"{data['programs']:,} programs that {data['models']} language models wrote for {data['problems']:,} problems; "
        f"labels: {data['labels']}. {data['failing']:,} of them fail; of {unknown:,} no fix is known: they count as "
        f"programs and not with their lines. The probe of bundle `{found['bundle']}`, fitted again in every fold the "
        f"way it was made: `{found['recipe']}`, from {seeds}. The model that it reads "
        "was not trained again."
    )


def line_sentences(line: Mapping[str, Any]) -> str:
    """How good the probe is at the level that people see, and whether that is more than trivial."""
    techniques: Techniques = line["techniques"]
    probe = techniques[PROBE]
    sentences = [
        f"At the level of lines the probe has an AUC of {_interval(probe['auc'])}, a Brier skill of "
        f"{_interval(probe['bss_raw'])} as it comes and of {_interval(probe['bss_platt'])} rescaled, and a calibration "
        f"error of {_interval(probe['ece_raw'])}."
    ]
    if "auc_above_trivial" in probe:
        sentences.append(_above_trivial(probe["auc_above_trivial"], techniques[TRIVIAL]["auc"]))
    skill = probe["bss_raw"]
    if _low(skill) <= 0:
        sentences.append("Its unscaled probabilities are not surely better than always saying the base rate.")
    better = [
        name
        for name in techniques
        if name not in (PROBE, BASE_RATE) and _value(techniques[name]["auc"]) > _value(probe["auc"])
    ]
    if better:
        sentences.append(f"It does not win everywhere: a higher AUC has {_list_names(better)}.")
    return " ".join(sentences)


def order_sentences(line: Mapping[str, Any]) -> str:
    """What a reader of one failing program gains."""
    probe = line["techniques"][PROBE]
    if "lines_read" not in probe:
        return "No failing program with a known fix was measured."
    return (
        "Where a program fails, one of the three likeliest lines is to be edited in "
        f"{_percent(probe['hits_at_3'])} of cases. Who reads by the probe's order has met 80% of the edited lines "
        f"after {_percent(probe['lines_read'])} of the program, and from the top after "
        f"{_percent(probe['lines_read_from_top'])}: {_percent(probe['lines_saved'])} less to read. The AUC within "
        f"failing programs is {_interval(probe['within_auc'])}. The base rate's row is reading from the top."
    )


def calibration_sentences(levels: Mapping[str, Any]) -> str:
    """Whether one map holds at every level."""
    errors = {level: _value(levels[level]["techniques"][PROBE]["ece_raw"]) for level in LEVELS if level in levels}
    worst = max(errors, key=lambda level: errors[level])
    listed = ", ".join(f"{level} {error:.3f}" for level, error in errors.items())
    return f"One map serves spans of all sizes. Its calibration error by level: {listed}. It is worst for {worst}s" + (
        "." if errors[worst] <= 0.05 else ": there the numbers should be read as an order rather than as shares."
    )


def benchmark_sentences(found: Mapping[str, Any]) -> str:
    """The honest test: a benchmark that was left out is what a user's repository is."""
    if not found:
        return "There is only one benchmark, so none was left out."
    probes = {name: levels["line"]["techniques"][PROBE] for name, levels in found.items()}
    means = [
        sum(_value(probe[key]) for probe in probes.values()) / len(probes) for key in ("auc", "bss_raw", "ece_raw")
    ]
    below = [name for name, probe in probes.items() if _value(probe["bss_raw"]) <= 0]
    sentence = (
        "Nothing of the benchmark that is judged was seen by the probe, its calibration, or the rescaling. Lines, "
        f"mean of {len(probes)}: AUC {means[0]:.3f}, Brier skill {means[1]:.3f}, calibration error {means[2]:.3f}."
    )
    if below:
        sentence += f" On {_list_names(below)} the unscaled probabilities are worse than the base rate would be."
    return sentence


def unread_sentences(found: Mapping[str, Any]) -> str:
    """What remains when the language model saw no program of the problem either."""
    everywhere = _value(found["five_folds"]["line"]["techniques"][PROBE]["auc"])
    unread = found["unread"]["line"]["techniques"][PROBE]["auc"]
    return (
        "The default model was trained on programs for two thirds of these problems (without labels). These are the "
        f"folds' figures for the other third alone: the AUC of lines is {_interval(unread)}, against {everywhere:.3f} "
        "for all."
    )


def sibling_sentences(siblings: Mapping[str, Any]) -> str:
    """How many programs the multisampling baseline could be given."""
    if not siblings["programs"]:
        return "Multisampling: no samples were given (`--samples`), so it was not measured."
    return (
        f"Multisampling compares a program with up to {siblings['most']} others that the same model wrote for the same "
        f"task: {siblings['programs']:,} of {siblings['of']:,} programs have some. The others get the base rate."
    )


def reflection_sentences(reflection: Mapping[str, Any]) -> str:
    """Whether a model was asked."""
    if not reflection["programs"]:
        return (
            "Reflective prompting: no model could be reached, so there is no figure. "
            "`--reflect-model NAME --base-url URL` asks one at any endpoint that speaks OpenAI's chat protocol, and "
            "adds its row to every table."
        )
    return (
        f"Reflective prompting: {reflection['model']} was asked about {reflection['programs']:,} programs; the others "
        "get the base rate."
    )


def _above_trivial(difference: list[float | None], trivial: list[float | None]) -> str:
    if _low(difference) > 0:
        verdict = "that much is more than where a line stands, how long it is and how it begins."
    elif difference[2] is not None and difference[2] < 0:
        verdict = "so where a line stands, how long it is and how it begins tells more than the probe does."
    else:
        verdict = "which may be chance: where a line stands and how it begins would do as well."
    way = "above" if _value(difference) >= 0 else "below"
    value, low, high = difference
    if value is not None and value < 0 and high is not None and high < 0:
        low, high = high, low  # so that sizes rise
    distance = _interval([None if each is None else abs(each) for each in (value, low, high)])
    return f"A logistic model of trivial features has {_interval(trivial)}; the probe is {distance} {way} it, {verdict}"


def _interval(value: list[float | None]) -> str:
    low, high = value[1], value[2]
    return f"{_value(value):.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")


def _percent(value: list[float | None]) -> str:
    return "n/a" if value[0] is None else f"{value[0]:.0%}"


def _value(value: list[float | None]) -> float:
    return float("nan") if value[0] is None else value[0]


def _low(value: list[float | None]) -> float:
    return float("-inf") if value[1] is None else value[1]


def _list_names(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


_SKILL = (
    ("bss_raw", "BSS raw"),
    ("ece_raw", "ECE raw"),
    ("ece_adaptive_raw", "adaptive ECE raw"),
    ("auc", "AUC"),
    ("within_auc", "AUC within failing programs"),
    ("bss_platt", "BSS Platt"),
    ("ece_platt", "ECE Platt"),
)
_PROGRAM_SKILL = tuple(column for column in _SKILL if column[0] != "within_auc")
_ORDER = (
    *((f"hits_at_{k}", f"hit in the first {k}") for k in HITS),
    ("lines_read", "share of lines read"),
    ("lines_saved", "less than from the top"),
)
_MAPS = tuple(
    (f"{name}_{way}", f"{title} {shown}")
    for name, title in (("bss", "BSS"), ("ece", "ECE"), ("ece_adaptive", "adaptive ECE"))
    for way, shown in (("raw", "raw"), ("platt", "Platt"), ("isotonic", "isotonic"))
)
_TERMS = """\
BSS: Brier skill score against the base rate of the very spans that are judged; 1 is perfect, 0 no better than the
base rate, below 0 worse. ECE: expected calibration error over ten bins, of equal width or (adaptive) of equal weight.
AUC: .5 is chance. "Platt": after a rescaling with two parameters, fitted on the calibration problems of the other
folds; "isotonic": after the rising map that suits those best. "Within failing programs" leaves out the question which
programs are in trouble. Brackets hold 95% intervals by bootstrap over problems. Every problem weighs the same at every
level; its failing programs weigh their natural share.
"""


def evaluation_markdown(found: Mapping[str, Any], more: Sequence[str] = ()) -> str:
    """The whole report; `found` is what evaluation.json holds, `more` are the paragraphs of further sections."""
    parts = [
        "# Evaluation",
        f"Made by `{found['command']}`; the same figures, to four digits, are in evaluation.json.",
        *(_folds(found) if "five_folds" in found else []),
        *more,
        *_attempts(found.get("attempts", [])),
    ]
    return "\n\n".join(parts) + "\n"


def _folds(found: Mapping[str, Any]) -> Iterable[str]:
    """The first bundle and its rivals, on problems and on benchmarks that were held out."""
    folds = found["five_folds"]
    return [
        "## What was measured",
        data_sentences(found),
        "\n".join(_data_table(found["data"])),
        _TERMS.strip(),
        "## Problems held out: five folds",
        line_sentences(folds["line"]),
        *_levels(folds),
        "### Reading a failing program by its lines",
        order_sentences(folds["line"]),
        _table(folds["line"]["techniques"], _ORDER),
        "### Calibration",
        calibration_sentences(folds),
        _by_level(folds, PROBE, _MAPS),
        *(f"![{title}]({path})" for title, path in found["plots"].items()),
        "## Benchmarks held out",
        benchmark_sentences(found["benchmarks_out"]),
        *_benchmarks(found["benchmarks_out"], found["benchmarks_mean"]),
        "## Problems that the model never read",
        unread_sentences(found),
        _by_level(found["unread"], PROBE),
        "## The bundle as it is shipped, on the test problems",
        _by_level(found["shipped"], PROBE),
        "## The rivals",
        sibling_sentences(found["siblings"]),
        reflection_sentences(found["reflection"]),
    ]


def _levels(levels: Mapping[str, Any]) -> Iterable[str]:
    for level in filter(levels.__contains__, LEVELS):
        measured = levels[level]
        yield f"### {level.capitalize()}s"
        yield (
            f"{measured['spans']:,} {level}s of {measured['programs']:,} programs of {measured['problems']:,} problems;"
            f" {_format_figure(measured['base_rate'])} of them edited."
        )
        yield _table(measured["techniques"], _PROGRAM_SKILL if level in ("function", "program") else _SKILL)


def _benchmarks(found: Mapping[str, Any], means: Mapping[str, Any]) -> Iterable[str]:
    for level in ("line", "program") if found else ():
        rows = []
        columns = _PROGRAM_SKILL if level == "program" else _SKILL
        for benchmark, levels in found.items():
            for technique, figures in levels[level]["techniques"].items():
                if technique != BASE_RATE:
                    rows.append([benchmark, technique, *_cells(figures, columns)])
        yield f"### {level.capitalize()}s, by benchmark that was left out"
        yield markdown_table(["left out", "technique", *(title for _, title in columns)], rows)
        yield f"Mean of the {len(found)}, {level}s:"
        yield _table(means[level], columns)


def _by_level(levels: Mapping[str, Any], technique: str, columns: Sequence[tuple[str, str]] = _SKILL) -> str:
    rows = [
        [level, f"{levels[level]['problems']:,}", *_cells(levels[level]["techniques"][technique], columns)]
        for level in LEVELS
        if level in levels
    ]
    return markdown_table(["level", "problems", *(title for _, title in columns)], rows)


def _table(techniques: Mapping[str, Any], columns: Sequence[tuple[str, str]]) -> str:
    rows = [[technique, *_cells(figures, columns)] for technique, figures in techniques.items()]
    return markdown_table(["technique", *(title for _, title in columns)], rows)


def _cells(figures: Mapping[str, Any], columns: Sequence[tuple[str, str]]) -> list[str]:
    return [interval_text(figures.get(name)) for name, _ in columns]


def interval_text(value: Sequence[float | None] | None) -> str:
    """[estimate, low, high] as a cell of a table; empty for a figure that is not there or undefined."""
    if value is None or value[0] is None:
        return ""
    interval = (
        "" if value[1] is None or value[2] is None else f" [{_format_figure(value[1])}, {_format_figure(value[2])}]"
    )
    return _format_figure(value[0]) + interval


def _format_figure(value: float | None) -> str:
    """Three digits without the leading zero."""
    return "n/a" if value is None else f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def _data_table(data: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            name,
            *(f"{part[key]:,}" for key in ("problems", "programs", "failing", "with_known_fix", "test", "calibration")),
        ]
        for name, part in data["benchmarks"].items()
    ]
    titles = [
        "benchmark",
        "problems",
        "programs",
        "failing",
        "with a known fix",
        "test problems",
        "calibration problems",
    ]
    return [markdown_table(titles, rows)]


def _attempts(attempts: Sequence[Mapping[str, Any]]) -> list[str]:
    if not attempts:
        return []
    columns = [name for name in attempts[0] if name != "variant"]
    rows = []
    for attempt in attempts:
        cells = [attempt.get(name) for name in columns]
        shown = [_format_figure(cell) if isinstance(cell, float) and abs(cell) < 1 else cell for cell in cells]
        words = [f"{cell:.0f}" if isinstance(cell, float) else str(cell) for cell in shown]
        rows.append([str(attempt["variant"]), *words])
    return [
        "## What was tried",
        "Probes fitted on training problems and compared on calibration problems; no test problem took part. "
        "Brier skill is that of a map fitted on one half of the calibration problems and judged on the other.",
        markdown_table(["variant", *columns], rows),
    ]


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a line of titles."""
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
