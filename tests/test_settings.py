"""Settings: what is accepted from whom, and what people are told about the rest."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.settings import SETTINGS, ParsedSettings, Scope, Settings, Source, parse


def test_nothing_given_means_the_defaults() -> None:
    raws: list[Any] = [None, {}, {"riskLsp": None}, {"riskLsp": {}}, {"threshold": None}]
    for raw in raws:
        assert parse(raw) == ParsedSettings(Settings())


def test_good_values_are_taken() -> None:
    parsed = parse({"threshold": 0.5, "maxDiagnostics": 3, "bundle": "/my/bundle", "enabled": False})
    assert parsed.settings == Settings(threshold=0.5, max_diagnostics=3, bundle="/my/bundle", enabled=False)
    assert parsed.given == {"threshold", "maxDiagnostics", "bundle", "enabled"}


def test_settings_may_come_under_the_name_of_their_section() -> None:
    assert parse({"riskLsp": {"threshold": 0.5}, "other": {}}).settings.threshold == 0.5


def test_whole_numbers_are_taken_for_numbers_and_back() -> None:
    parsed = parse({"threshold": 1, "maxDiagnostics": 3.0})
    assert (parsed.settings.threshold, parsed.settings.max_diagnostics) == (1.0, 3)
    assert type(parsed.settings.max_diagnostics) is int


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"threshold": 1.5}, "threshold: expected a number from 0 to 1, got 1.5"),
        ({"threshold": "high"}, "threshold: expected a number from 0 to 1, got 'high'"),
        ({"threshold": True}, "threshold: expected a number from 0 to 1, got true"),
        ({"threshold": float("nan")}, "threshold: expected a number from 0 to 1, got nan"),
        ({"threads": 10**40}, f"threads: expected a whole number from 0 to 1024, got {10**40}"),
        ({"maxDiagnostics": 2.5}, "maxDiagnostics: expected a whole number from 0 to 1000, got 2.5"),
        ({"enabled": "yes"}, "enabled: expected true or false, got 'yes'"),
        ({"enabled": 1}, "enabled: expected true or false, got 1"),
        ({"bundle": " "}, "bundle: expected a non-empty string, got ' '"),
        ({"bundle": ["a"]}, "bundle: expected a non-empty string, got a list"),
        ({"dtype": "int4"}, "dtype: expected one of auto, float32, bfloat16, float16, got 'int4'"),
        ({"treshold": 0.4}, "treshold: unknown setting; did you mean threshold?"),
        ([1], "settings: expected an object of names and values, got a list"),
        ({"riskLsp": "on"}, "settings: expected an object of names and values, got a string"),
    ],
)
def test_a_bad_value_gets_one_message_and_the_default(raw: Any, problem: str) -> None:
    assert parse(raw) == ParsedSettings(Settings(), (problem,))


def test_an_unknown_name_like_no_other_lists_the_known_ones() -> None:
    (problem,) = parse({"zzz": 1}).problems
    assert problem.startswith("zzz: unknown setting; known settings: allowWorkspaceModel, bundle, ")


def test_a_bad_value_leaves_the_good_ones_alone() -> None:
    parsed = parse({"threshold": "high", "maxDiagnostics": 3})
    assert parsed.settings == Settings(max_diagnostics=3)
    assert len(parsed.problems) == 1


@pytest.mark.parametrize("raw", [{"bundle": "./model"}, {"device": "cuda"}, {"threads": 64}, {"dtype": "float16"}])
def test_a_workspace_may_not_choose_the_model_or_its_hardware(raw: dict[str, Any]) -> None:
    user = Settings(bundle="/mine", device="cpu", threads=2, dtype="float32")
    parsed = parse(raw, Source.WORKSPACE, user)
    assert parsed.settings == user
    (problem,) = parsed.problems
    assert "is refused, because a workspace may not set it" in problem
    assert "allowWorkspaceModel" in problem


def test_a_workspace_may_choose_the_model_if_the_user_allows_it() -> None:
    parsed = parse({"bundle": "./model"}, Source.WORKSPACE, Settings(allow_workspace_model=True))
    assert parsed == ParsedSettings(Settings(bundle="./model", allow_workspace_model=True), (), frozenset({"bundle"}))


@pytest.mark.parametrize(
    ("raw", "user"),
    [
        ({"allowWorkspaceModel": True}, Settings()),
        ({"offline": False}, Settings()),
        ({"offline": False}, Settings(allow_workspace_model=True)),
        ({"repairTests": "sh evil.sh"}, Settings(allow_workspace_model=True)),
        ({"repairEndpoint": "http://evil.example/v1"}, Settings(allow_workspace_model=True)),
    ],
)
def test_no_workspace_may_lift_the_restrictions(raw: dict[str, Any], user: Settings) -> None:
    parsed = parse(raw, Source.WORKSPACE, user)
    assert parsed.settings == user
    assert len(parsed.problems) == 1


def test_no_workspace_may_declare_itself_trusted() -> None:
    user = Settings(trusted=False, allow_workspace_model=True)
    assert parse({"trusted": True}, Source.WORKSPACE, user).settings == user


def test_a_workspace_that_repeats_the_user_or_the_default_is_not_refused() -> None:
    user = Settings(bundle="/mine")
    assert parse({"bundle": "/mine"}, Source.WORKSPACE, user) == ParsedSettings(user, (), frozenset({"bundle"}))
    assert parse({"bundle": "default", "threads": 0}, Source.WORKSPACE, user) == ParsedSettings(user)


def test_every_field_is_a_documented_setting_whose_default_is_accepted() -> None:
    assert [setting.attribute for setting in SETTINGS] == [item.name for item in fields(Settings)]
    for setting in SETTINGS:
        assert setting.description.endswith(".")
        assert parse({setting.name: setting.default}) == ParsedSettings(Settings(), (), frozenset({setting.name}))


def test_whatever_names_a_model_or_hardware_is_not_for_workspaces() -> None:
    restricted = {setting.name for setting in SETTINGS if setting.scope is not Scope.RESOURCE}
    assert restricted == {
        "bundle",
        "device",
        "dtype",
        "threads",
        "cacheMegabytes",
        "diskCacheMegabytes",
        "offline",
        "allowWorkspaceModel",
        "trusted",
        "learnFromEdits",
        "remoteHost",
        "remoteKeyFile",
        "inlineCompletion",
        "repairProvider",
        "repairEndpoint",
        "repairModel",
        "repairFeedback",
        "repairFeedbackModel",
        "repairAdapter",
        "repairTests",
        "repairTokens",
        "repairExecutions",
        "repairSeconds",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([setting.name for setting in SETTINGS]) | st.text(max_size=15), JSON) | JSON)
def test_anything_at_all_gives_valid_settings_and_one_problem_per_bad_name(raw: Any) -> None:
    parsed = parse(raw)
    values = {setting.name: getattr(parsed.settings, setting.attribute) for setting in SETTINGS}
    assert parse(values).problems == ()
    assert not (parsed.given & {problem.partition(":")[0] for problem in parsed.problems})
