"""How much is said of libraries."""

from __future__ import annotations

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met.well_kept import LibraryFile, Shelf, measure_well_kept, read_shelf
from risk_lsp.settings import Settings
from tests.lab.evaluation.as_met.fakes import Rule

CAP = Settings().max_diagnostics
QUIET = "\n".join(f"x{number} = {number}" for number in range(100)) + "\n"
LOUD = QUIET.replace("x1", "bad")  # x1, x10 to x19
SHELF = Shelf((LibraryFile("python", "a.py", QUIET), LibraryFile("rich", "b.py", LOUD)), ())
ALARMED = Rule(lambda line: 0.9 if line.startswith("bad") else 0.1, lambda text: 0.8 if "bad" in text else 0.2)


def test_files_of_installed_libraries_are_found_and_the_others_are_named() -> None:
    shelf = read_shelf(6, ("rich", "no-such-library"))

    assert {file.library for file in shelf.files} == {"python", "rich"}
    assert shelf.missing == ("no-such-library",)
    assert len(shelf.files) == 6


def test_the_same_files_are_chosen_again() -> None:
    assert read_shelf(3, ("rich",)) == read_shelf(3, ("rich",))


def test_without_any_library_there_is_nothing_to_measure() -> None:
    with pytest.raises(BadInput, match="no library file"):
        read_shelf(1, ("no-such-library",))


def test_shares_of_lines_and_of_files_are_told_apart() -> None:
    row = measure_well_kept(SHELF, [ALARMED], 5)["rule"]["all"]

    assert row["lines_above"][0] == 11 / 200
    assert row["hints"][0] == 2 / 2  # a hundred lines at rest get two
    assert row["at_cap"][0] == 0.0
    assert row["hints_per_50"][0] == 2 / 4


def test_a_long_file_at_rest_may_show_as_many_hints_as_any_file() -> None:
    shelf = Shelf((LibraryFile("rich", "b.py", LOUD * 5), LibraryFile("rich", "c.py", QUIET)), ())
    row = measure_well_kept(shelf, [ALARMED], 5)["rule"]["all"]

    assert row["hints"][0] == CAP / 2
    assert row["at_cap"][0] == 0.5


def test_library_files_are_read_as_code_at_rest() -> None:
    class AtRest(Rule):
        def at_rest(self) -> Rule:
            return Rule(lambda line: 0.0, lambda text: 0.1)

    assert measure_well_kept(SHELF, [AtRest(lambda line: 0.9)], 5)["rule"]["all"]["document"][0] == 0.1


def test_the_document_is_the_median_of_the_files() -> None:
    rows = measure_well_kept(SHELF, [ALARMED], 5)["rule"]

    assert rows["all"]["document"][0] == 0.5
    assert rows["standard library"]["document"] == [0.2, 0.2, 0.2]


def test_a_column_without_a_level_has_nothing_to_say() -> None:
    assert measure_well_kept(SHELF, [Rule(len, is_level=False)], 5) == {}


def test_functions_are_whole_and_stand_as_in_their_file() -> None:
    text = "@decorated\ndef f(x):\n    y = x\n    z = y\n    return z\n\n\ndef short():\n    pass\n"

    assert Shelf((LibraryFile("rich", "a.py", text),), ()).functions() == [text[: text.index("\n\n\ndef")] + "\n"]
