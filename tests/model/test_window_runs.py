"""An edited text is read again at the price of what the edit touched, and with the same result as from scratch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from risk_lsp.errors import WorkerError
from risk_lsp.model import window_runs
from risk_lsp.model.code_model import Activations, CodeModel, KnownText, KnownTokens
from risk_lsp.model.cores import cancellable
from risk_lsp.model.decoders.numpy_host import NumpyHost
from risk_lsp.model.window_memory import WindowMemory

RunBy = Callable[[str], None]
LAYERS = (1, 3)
PLENTY = 1 << 30


EDIT = st.tuples(st.integers(0, 90), st.integers(0, 9), st.text("ab =\n(", max_size=5))  # where, removed, inserted
SLIDING = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}


@pytest.fixture(params=["Qwen3, run by numpy", "Qwen3, run by torch", "GPT2"])
def model(
    request: pytest.FixtureRequest, model_folder: Callable[..., Path], run_by: RunBy, small_steps: None
) -> CodeModel:
    """One that numpy runs, one that torch runs, in steps, and one that transformers runs."""
    family, _, library = request.param.partition(", run by ")
    run_by(library)
    return CodeModel.load(model_folder(family))


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that take long are read in steps so small that the test's have several."""
    monkeypatch.setattr(window_runs, "_STEP", 16)
    monkeypatch.setattr(window_runs, "_FEW_TOKENS", 4)


@pytest.fixture
def slow_model(model_folder: Callable[..., Path], run_by: RunBy, small_steps: None) -> CodeModel:
    """One whose windows are read in steps."""
    run_by("torch")
    return CodeModel.load(model_folder("Qwen3", max_position_embeddings=256))


@pytest.fixture
def tokens_run(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each run of numpy's decoder takes, as they happen."""
    counts: list[int] = []
    run = NumpyHost._extend_pasts

    def counted(host: NumpyHost, sequences: Any, *args: Any, **options: Any) -> Any:
        counts.append(sum(map(len, sequences)))
        return run(host, sequences, *args, **options)

    monkeypatch.setattr(NumpyHost, "_extend_pasts", counted)
    return counts


def read(model: CodeModel, text: str, memory: WindowMemory) -> Activations:
    encoding = model.encode(text)
    boundaries = encoding.tokens_at(_line_starts(text)).tolist()
    return model.recall(encoding, LAYERS, memory, boundaries=boundaries, statistics=True).read().rows()


def _line_starts(text: str) -> list[int]:
    return [0, *(place + 1 for place, character in enumerate(text[:-1]) if character == "\n")]


def assert_same(first: Activations, second: Activations) -> None:
    # float16 keeps 11 bits; activations of these models reach some tens.
    np.testing.assert_allclose(first.values, second.values, rtol=2e-3, atol=2e-3)
    assert first.log_probabilities is not None and second.log_probabilities is not None
    np.testing.assert_allclose(first.log_probabilities, second.log_probabilities, atol=1e-3)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 30), st.text("ab =\n(", max_size=8)), min_size=1, max_size=5
    ),
    st.integers(1, 4),
)
def test_any_edits_give_what_reading_from_scratch_gives(
    model: CodeModel, sample: str, edits: list[tuple[int, int, str]], copies: int
) -> None:
    memory, text = WindowMemory(PLENTY), sample * copies
    read(model, text, memory)
    for place, removed, inserted in edits:
        text = text[:place] + inserted + text[place + removed :]

        assert_same(read(model, text, memory), read(model, text, WindowMemory(0)))


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 9), st.text("ab =\n(", max_size=5)), min_size=2, max_size=3)
)
def test_every_family_that_transformers_runs_goes_on_behind_an_edit(
    torch_family: str, model_folder: Callable[..., Path], sample: str, edits: list[tuple[int, int, str]]
) -> None:
    model, memory, text = CodeModel.load(model_folder(torch_family)), WindowMemory(PLENTY), sample[:120]
    whole = read(model, text, memory)
    assert memory.tokens_run == len(whole.encoding)
    for place, removed, inserted in edits:
        before, text = model.encode(text).token_ids, text[:place] + inserted + text[place + removed :]
        now = model.encode(text).token_ids
        ran = memory.tokens_run

        assert_same(read(model, text, memory), read(model, text, WindowMemory(0)))
        if 0 < len(now) <= model.context:
            assert memory.tokens_run - ran <= max(1, len(now) - _common_start(before, now))


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("Qwen2", SLIDING),
        ("Llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}),
    ],
)
def test_a_model_whose_past_cannot_be_cut_is_run_again(
    tmp_path: Path, save_family: Callable[..., Path], family: str, changes: dict[str, Any]
) -> None:
    model = CodeModel.load(save_family(tmp_path / "model", family, **changes))
    memory, text = WindowMemory(PLENTY), "total = 0\nvalue"
    read(model, text, memory)
    before = memory.tokens_run

    again = read(model, text + " = 1", memory)

    assert memory.tokens_run - before == len(model.encode(text + " = 1"))
    assert_same(again, model.read(model.encode(text + " = 1"), LAYERS, statistics=True))


def test_where_no_block_runs_positions_are_those_of_the_whole(model_folder: Callable[..., Path]) -> None:
    model, memory = CodeModel.load(model_folder("GPT2")), WindowMemory(PLENTY)
    model.recall(model.encode("total = 0\nvalue"), (0,), memory).read()
    longer = model.encode("total = 0\nvalue = 1")

    np.testing.assert_allclose(
        model.recall(longer, (0,), memory).read().rows().values, model.read(longer, (0,)).values, rtol=2e-3, atol=2e-3
    )


def test_statistics_can_be_had_without_any_layer(model: CodeModel, sample: str) -> None:
    memory = WindowMemory(PLENTY)
    for text in (sample, sample + "x = 1\n"):
        encoding = model.encode(text)

        again = model.recall(encoding, (), memory, statistics=True).read().rows()

        expected = model.read(encoding, (), statistics=True)
        assert again.values.shape == (len(encoding), 0, model.width)
        assert again.entropies is not None and expected.entropies is not None
        np.testing.assert_allclose(again.entropies, expected.entropies, atol=1e-3)


def test_what_is_kept_to_go_on_from_is_bounded_by_bytes(model: CodeModel, sample: str) -> None:
    ample, tight = WindowMemory(PLENTY), WindowMemory(10_000)
    for memory in (ample, tight):
        read(model, sample[:100], memory)
        memory.tokens_run = 0
        read(model, sample[:101], memory)

    assert ample.tokens_run < 10 < tight.tokens_run


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(EDIT, min_size=1, max_size=4), st.integers(0, 300_000))
def test_rows_what_is_gone_on_from_and_what_is_made_of_rows_together_keep_to_the_limit(
    model: CodeModel, sample: str, edits: list[tuple[int, int, str]], most_bytes: int
) -> None:
    memory, text = WindowMemory(most_bytes), sample * 3
    read(model, text, memory)
    for place, removed, inserted in edits:
        text = text[:place] + inserted + text[place + removed :]
        read(model, text, memory)
        memory.remember_made(text, b"", 7_000)

        assert memory.size <= most_bytes


def test_what_is_made_of_rows_counts_as_remembered() -> None:
    memory = WindowMemory(PLENTY)
    memory.remember_made("rows", "hazards", 7_000)

    assert memory.size == 7_000


def test_where_room_is_short_the_window_edited_last_is_gone_on_from(model: CodeModel, sample: str) -> None:
    """Its rows and its keys and values fit, and nothing beside them."""
    ample = WindowMemory(PLENTY)
    read(model, sample[:100], ample)
    memory = WindowMemory(ample.size)
    for text in (sample[:100], sample[100:200], sample[100:201]):
        memory.tokens_run = 0
        read(model, text, memory)

    assert memory.tokens_run < 10


def test_without_an_edit_no_token_is_run(model_folder: Callable[..., Path], sample: str, tokens_run: list[int]) -> None:
    model, memory = CodeModel.load(model_folder("Qwen3")), WindowMemory(PLENTY)
    first = read(model, sample * 3, memory)
    tokens_run.clear()

    again = read(model, sample * 3, memory)

    assert tokens_run == []
    np.testing.assert_array_equal(again.values, first.values)


def test_typing_at_the_end_runs_only_what_was_typed(model_folder: Callable[..., Path], tokens_run: list[int]) -> None:
    model, memory = CodeModel.load(model_folder("Qwen3")), WindowMemory(PLENTY)
    read(model, "total = 0\nvalue", memory)
    tokens_run.clear()

    read(model, "total = 0\nvalue = 1", memory)

    assert sum(tokens_run) == len(model.encode("total = 0\nvalue = 1")) - len(model.encode("total = 0\nvalue"))


def test_an_edit_at_the_end_of_a_long_text_runs_a_small_part_of_it(
    model_folder: Callable[..., Path], sample: str, tokens_run: list[int]
) -> None:
    model, memory = CodeModel.load(model_folder("Qwen3")), WindowMemory(PLENTY)
    text = sample * 10
    read(model, text, memory)
    whole = sum(tokens_run)
    tokens_run.clear()

    read(model, text + "x = 1\n", memory)

    assert sum(tokens_run) <= 2 * model.context < whole / 8


def test_more_rows_than_the_memory_may_hold_are_forgotten(
    model_folder: Callable[..., Path], sample: str, tokens_run: list[int]
) -> None:
    model, memory = CodeModel.load(model_folder("Qwen3")), WindowMemory(1000)
    first = read(model, sample * 3, memory)
    tokens_run.clear()

    again = read(model, sample * 3, memory)

    assert sum(tokens_run) > 0
    np.testing.assert_allclose(again.values, first.values, rtol=2e-3, atol=2e-3)


def test_reading_with_a_memory_is_reading_rounded_to_half_precision(model: CodeModel, sample: str) -> None:
    encoding = model.encode(sample)
    exact = model.read(encoding, LAYERS, statistics=True)

    assert_same(model.recall(encoding, LAYERS, WindowMemory(PLENTY), statistics=True).read().rows(), exact)


def test_layers_and_statistics_are_remembered_apart(model: CodeModel, sample: str) -> None:
    memory, encoding = WindowMemory(PLENTY), model.encode(sample)
    model.recall(encoding, (1,), memory).read()

    other = model.recall(encoding, (2,), memory, statistics=True).read().rows()

    np.testing.assert_allclose(other.values, model.read(encoding, (2,)).values, rtol=2e-3, atol=2e-3)
    assert other.entropies is not None and other.entropies.any()


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_the_surroundings_of_a_place_are_known_first(model: CodeModel, sample: str, place: float) -> None:
    parts, whole = read_in_parts(model, sample * 12, place, WindowMemory(PLENTY))

    first, tokens = parts[0].encoding, whole.encoding
    assert len(parts) > 1
    assert first.starts[0] <= tokens.starts[round(place * (len(tokens) - 1))] < first.ends[-1]
    assert len(first) < len(tokens) / 3


def test_what_is_known_of_a_part_grows_and_is_what_it_is_in_the_whole(model: CodeModel, sample: str) -> None:
    parts, whole = read_in_parts(model, sample * 12, 0.3, WindowMemory(PLENTY))

    assert [len(part.encoding) for part in parts] == sorted({len(part.encoding) for part in parts})
    for part in parts:
        tokens = np.flatnonzero(np.isin(whole.encoding.starts, part.encoding.starts))
        np.testing.assert_array_equal(part.encoding.token_ids, whole.encoding.token_ids[tokens])
        assert_same(part, whole.some(tokens))


def test_parts_are_few_however_long_the_text_is(model: CodeModel, sample: str) -> None:
    counts = [len(read_in_parts(model, sample * copies, 0.0, WindowMemory(0))[0]) for copies in (8, 16, 32)]

    assert counts[0] < counts[1] < counts[2] == counts[0] + 2


def test_an_edit_that_touches_few_windows_has_no_parts(model: CodeModel, sample: str) -> None:
    memory, text = WindowMemory(PLENTY), sample * 12
    read_in_parts(model, text, 0.0, memory)

    parts, _ = read_in_parts(model, text + "x = 1\n", 1.0, memory)

    assert parts == []


def put_in_the_middle(model: CodeModel, text: str, written: str, memory: WindowMemory) -> tuple[KnownText, int, int]:
    """Letters are put before the " = " in the middle of a text: what is known of it then, the token with the first of
    them, and the first token of the line after the next."""
    place = text.index(" = ", len(text) // 2)
    after = text[:place] + written + text[place:]
    encoding = model.encode(after)
    until = after.index("\n", after.index("\n", place) + 1) + 1
    at, behind = encoding.tokens_at([place, until]).tolist()
    boundaries = encoding.tokens_at(_line_starts(after)).tolist()
    known = model.recall(encoding, LAYERS, memory, boundaries=boundaries, statistics=True, at=at, until=behind)
    return known, at, behind


LINES = "".join(f"name{number} = {number}\n" for number in range(60))


def test_where_windows_take_long_an_edited_line_is_known_before_the_rest_of_its_window(slow_model: CodeModel) -> None:
    memory = WindowMemory(PLENTY)
    read(slow_model, LINES, memory)
    known, at, until = put_in_the_middle(slow_model, LINES, "x", memory)
    before, parts = memory.tokens_run, list[tuple[int, KnownTokens]]()

    whole = known.read(lambda part: parts.append((memory.tokens_run - before, part)))

    ran, first = parts[0]
    certain = np.isin(np.arange(len(whole.encoding)), whole.encoding.tokens_at(first.encoding.starts[first.is_certain]))
    assert certain[at:until].all()
    assert ran < 2 / 3 * (memory.tokens_run - before)
    assert whole.is_certain.all()
    assert_same(first.rows().some(np.flatnonzero(first.is_certain)), whole.rows().some(np.flatnonzero(certain)))


def test_tokens_behind_an_edit_have_their_rows_of_before_it_until_they_are_read(slow_model: CodeModel) -> None:
    memory = WindowMemory(PLENTY)
    encoding = slow_model.encode(LINES)
    before = read(slow_model, LINES, memory)
    known, _, until = put_in_the_middle(slow_model, LINES, "x", memory)
    parts: list[KnownTokens] = []

    known.read(parts.append)

    first = parts[0]
    assert len(first.encoding) == len(known.encoding), "there is something of every token"
    behind = np.flatnonzero(~first.is_certain)
    assert len(behind) and behind[0] >= until
    np.testing.assert_array_equal(first.encoding.token_ids[behind], encoding.token_ids[behind - len(first.encoding)])
    np.testing.assert_array_equal(
        first.rows().values[behind], before.values[behind - len(first.encoding)].astype(np.float16)
    )


def test_a_second_edit_of_a_line_runs_what_stands_behind_it_alone(slow_model: CodeModel) -> None:
    memory, parts = WindowMemory(PLENTY), list[int]()
    read(slow_model, LINES, memory)
    put_in_the_middle(slow_model, LINES, "x", memory)[0].read()
    known, at, until = put_in_the_middle(slow_model, LINES, "xx", memory)
    before = memory.tokens_run

    known.read(lambda _: parts.append(memory.tokens_run - before))

    assert parts[0] <= until - at + 2


def test_steps_that_were_made_before_a_cancellation_are_not_made_again(slow_model: CodeModel) -> None:
    memory = WindowMemory(PLENTY)
    with cancellable(lambda: memory.tokens_run > 16), pytest.raises(WorkerError, match="cancelled"):
        read(slow_model, LINES[:100], memory)
    assert 16 < memory.tokens_run < len(slow_model.encode(LINES[:100]))

    read(slow_model, LINES[:100], memory)

    assert memory.tokens_run == len(slow_model.encode(LINES[:100]))


def _common_start(one: NDArray[Any], other: NDArray[Any]) -> int:
    length = min(len(one), len(other))
    differ = np.flatnonzero(one[:length] != other[:length])
    return int(differ[0]) if len(differ) else length


def read_in_parts(
    model: CodeModel, text: str, place: float, memory: WindowMemory
) -> tuple[list[Activations], Activations]:
    """What is known of a text before the whole is, when reading begins at a share of it; and the whole."""
    parts: list[Activations] = []
    encoding = model.encode(text)
    at = round(place * len(encoding))
    boundaries = encoding.tokens_at(_line_starts(text)).tolist()
    known = model.recall(encoding, LAYERS, memory, boundaries=boundaries, statistics=True, at=at)
    whole = known.read(lambda part: parts.append(part.rows()))
    return parts, whole.rows()


def test_cancelled_reading_ends_and_what_was_read_by_then_is_not_read_again(
    model_folder: Callable[..., Path], tokens_run: list[int]
) -> None:
    model, memory = CodeModel.load(model_folder("Qwen3")), WindowMemory(PLENTY)
    text = "".join(f"x{number} = {number}\n" for number in range(200))
    with cancellable(lambda: len(tokens_run) > 8), pytest.raises(WorkerError, match="cancelled"):
        read(model, text, memory)
    before = sum(tokens_run)
    assert before > 0

    read(model, text, memory)

    together = sum(tokens_run)
    read(model, text, WindowMemory(PLENTY))
    whole = sum(tokens_run) - together
    assert together - whole <= 4 * model.context, "no more is read twice than the windows that were on their way"
    assert before > 4 * model.context, "some were read to their end"


@pytest.mark.parametrize("copies", [0, 3], ids=["one window", "several at once"])
def test_a_window_that_nobody_waits_for_is_left_between_two_blocks(model: CodeModel, sample: str, copies: int) -> None:
    memory, text, asked = WindowMemory(PLENTY), sample * copies or sample[:80], list[bool]()

    def unwanted() -> bool:
        asked.append(len(asked) > 1)
        return asked[-1]

    with cancellable(unwanted), pytest.raises(WorkerError, match="cancelled"):
        read(model, text, memory)

    assert memory.size == 0, "no window was read to its end"
    assert_same(read(model, text, memory), read(model, text, WindowMemory(0)))
