"""Code that a patch would cut off."""

from __future__ import annotations

import pytest

from risk_lsp.edits.candidates import superseded_statements


@pytest.mark.parametrize(
    ("program", "count"),
    [
        ("def f():\n    return 1\n", 0),
        ("def f():\n    return 1\n    x = 2\n", 1),
        ("def f():\n    return 1\n    if x:\n        y = 2\n", 2),
        ("def f():\n    if x:\n        return 1\n    else:\n        raise E\n    return 2\n", 1),
        ("def f():\n    if x:\n        return 1\n    return 2\n", 0),
        ("while True:\n    x = 1\ny = 2\n", 1),
        ("while True:\n    break\ny = 2\n", 0),
        ("for x in y:\n    continue\n    z()\n", 1),
        ("def f(): pass\ndef f(): pass\n", 1),
        ("def f(:\n", 0),
    ],
)
def test_statements_that_never_run_are_counted(program: str, count: int) -> None:
    assert superseded_statements(program) == count
