"""The order of lines counts as far as it is asked to."""

from __future__ import annotations

import numpy as np
import torch

from risk_lsp.lab.training.fit_probe import FitOptions, batch_loss, ranking_loss
from risk_lsp.lab.training.heads import new_head
from tests.lab.training.makers import store_of

TWO_LINES = store_of(np.zeros((4, 3)), np.array([False, False, True, True]), 2, 2)  # of two tokens, one program


def test_the_ranking_loss_depends_on_the_order_and_not_on_the_level() -> None:
    right, wrong = torch.tensor([0.1, 0.1, 0.4, 0.4]), torch.tensor([0.4, 0.4, 0.1, 0.1])
    assert ranking_loss(right, TWO_LINES) < ranking_loss(wrong, TWO_LINES)
    torch.testing.assert_close(ranking_loss(10 * right, TWO_LINES), ranking_loss(right, TWO_LINES))


def test_the_ranking_loss_of_programs_that_pass_is_zero() -> None:
    passing = store_of(np.zeros((4, 1)), np.zeros(4, np.bool_), 2, 2)
    assert float(ranking_loss(torch.ones(4), passing)) == 0


def test_a_batchs_loss_holds_the_ranking_loss_as_often_as_it_counts() -> None:
    head, features = new_head("hazard", 3, 4).eval(), torch.randn(4, 3)

    without, with_two = (
        batch_loss(head, features, TWO_LINES, np.ones(1), FitOptions(ranking=ranking)) for ranking in (0.0, 2.0)
    )

    torch.testing.assert_close(with_two - without, 2 * ranking_loss(head(features), TWO_LINES))


def test_a_head_without_hazards_is_fitted_without_the_ranking_loss() -> None:
    head, features = new_head("max_pool", 3, 4).eval(), torch.randn(4, 3)

    without, with_two = (
        batch_loss(head, features, TWO_LINES, np.ones(1), FitOptions("max_pool", ranking=ranking))
        for ranking in (0.0, 2.0)
    )

    torch.testing.assert_close(with_two, without)
