"""The commands of the laboratory, which `risk-lsp` finds by an entry point of the distribution."""

from __future__ import annotations

from risk_lsp.cli.command_line import Command

COMMANDS = (
    Command("corpus build", "files to packed tokens for training", "risk_lsp.lab.training.model_commands"),
    Command("corpus programs", "library code as labelled programs", "risk_lsp.lab.training.library_programs"),
    Command("train model", "train a small code model", "risk_lsp.lab.training.model_commands"),
    Command("train derive", "a small model from a pretrained one", "risk_lsp.lab.deriving.derivation"),
    Command("train tune", "tune a model to tell what is edited", "risk_lsp.lab.deriving.tuning"),
    Command("probe fit", "fit a probe to a model and labelled programs", "risk_lsp.lab.training.probe_fit_command"),
    Command("probe features", "what a model gives for labelled programs", "risk_lsp.lab.training.feature_command"),
    Command("probe evaluate", "measure a bundle on labelled data", "risk_lsp.lab.evaluation.probe_commands"),
    Command("probe places", "the level for each kind of text", "risk_lsp.lab.evaluation.probe_commands"),
    Command("evaluate", "a report on a bundle and its rivals", "risk_lsp.lab.evaluation.evaluate_commands"),
    Command(
        "evaluate repair",
        "how many programs are repaired, and at what cost",
        "risk_lsp.lab.evaluation.evaluate_commands",
    ),
    Command(
        "evaluate personal",
        "what learning from a person's edits is worth",
        "risk_lsp.lab.evaluation.evaluate_commands",
    ),
    Command(
        "evaluate writing",
        "whether it helps to pick written text by its risk",
        "risk_lsp.lab.evaluation.evaluate_commands",
    ),
    Command(
        "evaluate prose",
        "whether the probe finds slips in prose, too",
        "risk_lsp.lab.evaluation.evaluate_commands",
    ),
    Command(
        "debugger synthesise",
        "failing programs of a model, explained and repaired",
        "risk_lsp.lab.debugger.debugger_commands",
    ),
    Command("debugger train", "a model that learns to repair programs", "risk_lsp.lab.debugger.debugger_commands"),
    Command("debugger evaluate", "how well models repair programs", "risk_lsp.lab.debugger.debugger_commands"),
    Command("patches sample", "programs of a model for problems", "risk_lsp.lab.patches.sample_command"),
    Command("patches build", "minimal patches of failing programs", "risk_lsp.lab.patches.build"),
)
