"""A model and a probe that learn together learn which lines a fix touches, and a run that was cut short goes on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.deriving.tuning import Tuning, TuningOptions
from risk_lsp.lab.training.training_files import read_training_record, write_training_record
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.host import NO_HEAD
from tests.lab.training.makers import probe_data, toy_programs


def options(model_folder: Path, out: Path, **changes: object) -> TuningOptions:
    settings = {"layers": (1, 2), "epochs": 3.0, "rate": 1e-3, "tokens": 800, "hidden": 16, "longest": 400}
    return TuningOptions(model_folder, out, **{**settings, **changes})  # type: ignore[arg-type]


def test_tuning_lowers_the_loss_on_problems_that_it_did_not_learn_from(model_folder: Path, tmp_path: Path) -> None:
    tuning = Tuning(options(model_folder, tmp_path, epochs=5.0, tokens=150), probe_data(*toy_programs(40)))
    before = tuning.validation_loss()
    tuning.run()
    assert tuning.validation_loss() < before - 0.05


def test_the_tuned_model_is_a_model_folder(model_folder: Path, tmp_path: Path) -> None:
    Tuning(options(model_folder, tmp_path, epochs=0.5), probe_data(*toy_programs(40))).run()
    text = "return first - second\n"
    origin, tuned = CodeModel.load(model_folder), CodeModel.load(tmp_path / "model")
    assert tuned.tokenizer_hash == origin.tokenizer_hash
    before, after = (model.read(model.encode(text), [2]).values for model in (origin, tuned))
    assert before.shape == after.shape
    assert np.abs(before - after).max() > 1e-4


def test_the_record_says_what_the_model_was_tuned_with_and_what_it_was_derived_from(
    model_folder: Path, tmp_path: Path
) -> None:
    origin = shutil.copytree(model_folder, tmp_path / "origin")
    write_training_record(origin, {"derived_from": {"name": "elder"}})
    tuning = Tuning(options(origin, tmp_path, epochs=0.5), probe_data(*toy_programs(40)))
    progress = tuning.run()

    record = read_training_record(tmp_path / "model")
    assert record["derived_from"] == {"name": "elder"}
    assert record["tuned"]["split"] == "train"
    assert record["tuned"]["progress"]["step"] == progress.step > 0
    assert record["tuned"]["options"]["layers"] == [1, 2]


def test_a_model_without_a_head_has_none_after_tuning(model_folder: Path, tmp_path: Path) -> None:
    origin = shutil.copytree(model_folder, tmp_path / "origin")
    config = json.loads((origin / "config.json").read_text())
    (origin / "config.json").write_text(json.dumps({**config, NO_HEAD: True}))
    Tuning(options(origin, tmp_path, epochs=0.2), probe_data(*toy_programs(40))).run()

    assert not CodeModel.load(tmp_path / "model").host.has_head


def test_frozen_blocks_stay_as_they_are(model_folder: Path, tmp_path: Path) -> None:
    Tuning(options(model_folder, tmp_path, frozen=1, epochs=0.5), probe_data(*toy_programs(40))).run()
    text = "return first - second\n"
    origin, tuned = CodeModel.load(model_folder), CodeModel.load(tmp_path / "model")
    before, after = (model.read(model.encode(text), [1]).values for model in (origin, tuned))
    np.testing.assert_array_equal(before, after)


def test_a_run_goes_on_where_its_checkpoint_was(model_folder: Path, tmp_path: Path) -> None:
    data = probe_data(*toy_programs(40))
    first = Tuning(options(model_folder, tmp_path, epochs=1.0, checkpoint_minutes=0.0), data).run()
    second = Tuning(options(model_folder, tmp_path, epochs=2.0, checkpoint_minutes=0.0), data).run()
    assert 0 < first.step < second.step
    assert second.tokens > first.tokens


def test_a_layer_that_is_not_there_is_refused(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="layers"):
        Tuning(options(model_folder, tmp_path, layers=(9,)), probe_data(*toy_programs(40)))
