"""A run goes on from its checkpoint with exactly the weights it had, whatever happened while one was written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn, optim

from risk_lsp.errors import BadInput
from risk_lsp.lab.training import training_files as checkpoints
from risk_lsp.lab.training.train_model import build_optimizers, set_rate
from risk_lsp.lab.training.training_files import Progress, find_checkpoint, load_checkpoint, save_checkpoint

PROGRESS = Progress(step=12, tokens=3456, seconds=7.5)


def small_model(seed: int = 0, width: int = 8) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.Linear(width, width))


def train(model: nn.Module, optimizers: list[optim.Optimizer], steps: int) -> None:
    inputs = torch.randn(4, 8, generator=torch.Generator().manual_seed(5))
    for _ in range(steps):
        model(inputs).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()


def test_the_weights_come_back_exactly(tmp_path: Path) -> None:
    model, fresh = small_model(), small_model(seed=1)
    save_checkpoint(tmp_path / "checkpoint", model, [], PROGRESS)

    load_checkpoint(tmp_path / "checkpoint", fresh, [])

    assert all(torch.equal(tensor, fresh.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_the_progress_comes_back(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", small_model(), [], PROGRESS)

    assert load_checkpoint(tmp_path / "checkpoint", small_model(), []) == PROGRESS


def test_training_goes_on_as_if_it_had_not_been_interrupted(tmp_path: Path) -> None:
    model, resumed = small_model(), small_model(seed=1)
    optimizers, theirs = (build_optimizers(each, 1e-2, 0.1) for each in (model, resumed))
    train(model, optimizers, 5)
    save_checkpoint(tmp_path / "checkpoint", model, optimizers, PROGRESS)
    load_checkpoint(tmp_path / "checkpoint", resumed, theirs)

    train(model, optimizers, 3)
    train(resumed, theirs, 3)

    # Moments are kept in bfloat16, so the steps after a resume differ in their third digit.
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor, atol=2e-3, rtol=1e-2)


def test_a_tied_weight_is_kept_once_and_stays_tied(tmp_path: Path) -> None:
    embed, head = nn.Embedding(4, 8), nn.Linear(8, 4, bias=False)
    head.weight = embed.weight
    model = nn.ModuleDict({"embed": embed, "head": head})
    save_checkpoint(tmp_path / "checkpoint", model, [], PROGRESS)
    kept = embed.weight.detach().clone()
    torch.nn.init.zeros_(embed.weight)

    load_checkpoint(tmp_path / "checkpoint", model, [])

    assert torch.equal(embed.weight, kept) and head.weight is embed.weight


def test_every_file_is_at_most_sixteen_mebibytes(tmp_path: Path) -> None:
    model = nn.Sequential(*(nn.Linear(1024, 1024) for _ in range(5)))
    save_checkpoint(tmp_path / "checkpoint", model, [], PROGRESS)

    sizes = [path.stat().st_size for path in (tmp_path / "checkpoint").iterdir()]
    assert sum(sizes) > 20 * 2**20 and max(sizes) <= 16 * 2**20


def test_a_checkpoint_replaces_the_one_before_and_leaves_nothing_else(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", small_model(), [], Progress())
    save_checkpoint(tmp_path / "checkpoint", small_model(), [], PROGRESS)

    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    assert load_checkpoint(tmp_path / "checkpoint", small_model(), []).step == 12


def test_a_crash_in_the_middle_of_writing_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / "checkpoint", small_model(), [], PROGRESS)

    def crash(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(checkpoints, "save_file", crash)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(tmp_path / "checkpoint", small_model(), [], Progress())

    assert load_checkpoint(tmp_path / "checkpoint", small_model(), []) == PROGRESS


def test_a_crash_between_taking_the_old_away_and_putting_the_new_there_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / "checkpoint", small_model(), [], PROGRESS)
    rename = Path.rename

    def crash_on_the_new_one(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError("power cut")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash_on_the_new_one)
        with pytest.raises(OSError, match="power cut"):
            save_checkpoint(tmp_path / "checkpoint", small_model(), [], Progress())

    assert find_checkpoint(tmp_path / "checkpoint")
    assert load_checkpoint(tmp_path / "checkpoint", small_model(), []) == PROGRESS


def test_where_there_was_no_run_there_is_no_checkpoint(tmp_path: Path) -> None:
    assert not find_checkpoint(tmp_path / "checkpoint")


def test_the_checkpoint_of_another_shape_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", small_model(), [], PROGRESS)

    with pytest.raises(BadInput, match="model of another shape"):
        load_checkpoint(tmp_path / "checkpoint", small_model(width=9), [])


def test_a_checkpoint_that_lacks_a_shard_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", small_model(), [], PROGRESS)
    (tmp_path / "checkpoint" / "state-000.safetensors").unlink()

    with pytest.raises(BadInput, match="model of another shape"):
        load_checkpoint(tmp_path / "checkpoint", small_model(), [])


def test_a_damaged_shard_is_refused_by_name(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", small_model(), [], PROGRESS)
    shard = tmp_path / "checkpoint" / "state-000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-8])

    with pytest.raises(BadInput, match=r"state-000\.safetensors is damaged"):
        load_checkpoint(tmp_path / "checkpoint", small_model(), [])


def test_matrices_go_to_muon_and_everything_else_to_adamw() -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(4, 8), "project": nn.Linear(8, 8), "norm": nn.LayerNorm(8)})
    muon, adamw = build_optimizers(model, 1e-3, 0.1)

    assert [parameter.shape for parameter in muon.param_groups[0]["params"]] == [(8, 8)]
    assert len(adamw.param_groups[0]["params"]) == 4


def test_the_rate_is_set_everywhere() -> None:
    optimizers = build_optimizers(small_model(), 1e-3, 0.1)
    set_rate(optimizers, 0.5)

    assert {group["lr"] for optimizer in optimizers for group in optimizer.param_groups} == {0.5}
