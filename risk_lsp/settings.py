"""Every user setting, once, as typed data; editors' settings and documentation are derived from `SETTINGS`.

Scopes:

- `resource` settings (how much is shown, and when) may come from anywhere: initialization options,
  `workspace/configuration`, pushed settings.
- `machine` settings (which model, on what hardware) come from the user alone: the command line or the client's
  initialization options. A workspace that sets one to something else is refused, because naming a model is naming what
  runs, unless the user's own `allowWorkspaceModel` is true.
- `user` settings (`offline`, `allowWorkspaceModel`, what may be run, where texts may be sent and what that may cost)
  never come from a workspace.

The language server protocol does not say who wrote a value. Initialization options are taken as the user's, and so is
`riskLsp/userSettings`, by which a client that keeps the two apart says them anew; the configuration the client sends
later is merged with the workspace's and is taken as the workspace's. Project files
(`pyproject.toml` and the like) are never read for settings.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from ipaddress import ip_address
from typing import Any

SECTION = "riskLsp"  # the name of the section in editors' settings


class Scope(str, Enum):
    """Who may decide a setting."""

    RESOURCE = "resource"
    MACHINE = "machine"
    USER = "user"


class Source(str, Enum):
    """Where raw settings came from."""

    USER = "user"
    WORKSPACE = "workspace"


@dataclass(frozen=True)
class Setting:
    """One setting: its name in editors (camel case), the attribute of `Settings`, and what is accepted."""

    name: str
    attribute: str
    type: type
    default: bool | int | float | str
    scope: Scope
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


def _setting(
    default: bool | int | float | str,
    description: str,
    scope: Scope = Scope.RESOURCE,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    metadata = {"description": description, "scope": scope, "minimum": minimum, "maximum": maximum, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """The values of all settings; the defaults are what a user gets who sets nothing."""

    enabled: bool = _setting(True, "Score documents and show the lines most worth reading. Off also stops the model.")
    threshold: float = _setting(
        0.3, "Show a line when the probability that it has to be edited is at least this.", minimum=0.0, maximum=1.0
    )
    max_diagnostics: int = _setting(
        8, "Show at most this many lines per document, the likeliest ones.", minimum=0, maximum=1000
    )
    scope: str = _setting(
        "document",
        "Where lines are shown: in the whole 'document', or only where text was 'generated', as far as can be told.",
        choices=("document", "generated"),
    )
    place_of_text: str = _setting(
        "auto",
        "What kind of text documents are, which decides how often their lines need an edit: 'auto' (git and installed"
        " libraries tell), or all 'generated' by a model, or all 'atRest', reviewed and kept.",
        choices=("auto", "generated", "atRest"),
    )
    generated_lines: int = _setting(
        0,
        "Count every insertion of more than this many lines as written by a model, such as an answer that is pasted or"
        " applied; 0: only what looks so.",
        minimum=0,
        maximum=10_000,
    )
    inlay_hints: bool = _setting(False, "Write the probability at the end of each line that is shown.")
    code_lens: bool = _setting(False, "Write the probability of each function above it.")
    debounce: float = _setting(
        0.7, "Seconds without an edit before a document is scored again.", minimum=0.0, maximum=60.0
    )
    max_characters: int = _setting(
        200_000, "Documents longer than this many characters are not scored.", minimum=1, maximum=10_000_000
    )
    bundle: str = _setting(
        "default",
        "The probe bundle: 'default' (the one chosen by `risk-lsp models use`, else the built-in one), 'built-in', the"
        " name of a shipped bundle, or the path of a bundle folder.",
        Scope.MACHINE,
    )
    device: str = _setting("auto", "Where the model runs: 'auto', 'cpu', 'cuda', 'cuda:1', 'mps', ...", Scope.MACHINE)
    dtype: str = _setting(
        "auto",
        "Number format of the model's weights.",
        Scope.MACHINE,
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    threads: int = _setting(0, "CPU threads for the model; 0 lets it choose.", Scope.MACHINE, minimum=0, maximum=1024)
    cache_megabytes: int = _setting(
        256,
        "Memory for what the model computed of open documents, so that an edit costs what it touches; 0 keeps none.",
        Scope.MACHINE,
        minimum=0,
        maximum=1_000_000,
    )
    disk_cache_megabytes: int = _setting(
        200,
        "Disk space in your cache folder for the numbers of files that were opened before (no code); 0 keeps none.",
        Scope.MACHINE,
        minimum=0,
        maximum=1_000_000,
    )
    offline: bool = _setting(
        True, "Never use the network, not even to fetch a model, unless you ask for that model.", Scope.USER
    )
    allow_workspace_model: bool = _setting(
        False, "Let a workspace's settings choose the model and the hardware it runs on.", Scope.USER
    )
    trusted: bool = _setting(
        True,
        "Whether code of the workspace may be run at all; editors that ask for trust say so themselves.",
        Scope.USER,
    )
    remote_host: str = _setting(
        "",
        "Address of your team's host, such as https://risk.example.org:8443, whose model scores your documents. Empty:"
        " the model runs on this machine, as it does while the host is away.",
        Scope.USER,
    )
    remote_key_file: str = _setting(
        "",
        "File that holds your key for the team's host, in editors without a secret store. Empty: the environment"
        " variable RISK_LSP_HOST_KEY.",
        Scope.USER,
    )
    learn_from_edits: bool = _setting(
        True,
        "Learn from what becomes of the generated lines that you accept how often such lines need an edit in your"
        " hands. What is remembered, hashes and numbers and no code, stays in your data folder.",
        Scope.USER,
    )
    inline_completion: bool = _setting(
        False,
        "Let the model write at the cursor and the bodies of functions, and score what it writes. The built-in model is"
        " small and writes poorly: choose a larger one first.",
        Scope.USER,
    )
    risk_gate: float = _setting(
        1.0,
        "Do not show what the model writes when the probability that it has to be edited is above this; 1 shows all.",
        minimum=0.0,
        maximum=1.0,
    )
    repair_provider: str = _setting(
        "embedded",
        "What makes repairs: the built-in model ('embedded'), a model at 'endpoint', or the 'editor's own model.",
        Scope.USER,
        choices=("embedded", "endpoint", "editor"),
    )
    repair_endpoint: str = _setting(
        "",
        "Base URL of the OpenAI-compatible endpoint that repairs are asked of, such as http://localhost:11434/v1."
        " Empty: OPENAI_BASE_URL, or else OpenAI's own.",
        Scope.USER,
    )
    repair_model: str = _setting("", "Name of the model at the endpoint.", Scope.USER)
    repair_feedback: str = _setting(
        "joint",
        "Whether an asked model says what is wrong together with its repair ('joint'), or the 'same' model is asked for"
        " that first and for the repair then.",
        Scope.USER,
        choices=("joint", "same"),
    )
    repair_feedback_model: str = _setting(
        "",
        "Name of another model at the endpoint, asked first what is wrong. Empty: the one that repairs says it.",
        Scope.USER,
    )
    repair_adapter: str = _setting(
        "",
        "Folder of an adapter with which the hosted model repairs what the 'embedded' provider does not, in words and"
        " programs of its own (made by risk-lsp debugger train). Empty: none.",
        Scope.USER,
    )
    repair_tests: str = _setting(
        "auto",
        "What judges repairs: 'auto' (the pytest files that import the file, else its doctests), 'none', or a command"
        " that is run in a copy of the workspace. You are asked before a command is run for the first time.",
        Scope.USER,
    )
    repair_tokens: int = _setting(
        20_000,
        "Tokens that an asked model may read and write for one repair.",
        Scope.USER,
        minimum=1,
        maximum=10_000_000,
    )
    repair_executions: int = _setting(
        200, "How many programs may be run for one repair.", Scope.USER, minimum=1, maximum=100_000
    )
    repair_seconds: float = _setting(120.0, "Seconds that one repair may take.", Scope.USER, minimum=1, maximum=86_400)


def is_this_machine(host: str) -> bool:
    """Whether a host's name or address is this machine: `offline` does not forbid to ask it."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _camel_case(attribute: str) -> str:
    first, *rest = attribute.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _declared_settings() -> Iterator[Setting]:
    for item in fields(Settings):
        default = item.default
        assert isinstance(default, bool | int | float | str)
        yield Setting(_camel_case(item.name), item.name, type(default), default, **item.metadata)


SETTINGS: tuple[Setting, ...] = tuple(_declared_settings())
_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True)
class ParsedSettings:
    """Result of `parse`: the settings to use, one message per problem, and the names that were given and accepted."""

    settings: Settings
    problems: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()


def parse(raw: object, source: Source = Source.USER, base: Settings | None = None) -> ParsedSettings:
    """Read settings from what a client or a caller sent; never raises.

    `raw` is a mapping of camel-case names to values, the same under a `riskLsp` key, or None. Values that are missing
    or null stay as in `base` (the defaults when not given; the user's own settings when `source` is the workspace).
    A bad or unknown value leaves its setting as in `base` and adds one problem that names it and what is accepted.
    """
    base = base or Settings()
    if isinstance(raw, Mapping) and SECTION in raw:
        raw = raw[SECTION]
    if raw is None:
        return ParsedSettings(base)
    if not isinstance(raw, Mapping):
        return ParsedSettings(base, (f"settings: expected an object of names and values, got {_kind_of(raw)}",))
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in raw.items():
        setting = _BY_NAME.get(name)
        if setting is None:
            close = difflib.get_close_matches(str(name), list(_BY_NAME), n=1, cutoff=0.6)
            hint = f"did you mean {close[0]}?" if close else "known settings: " + ", ".join(sorted(_BY_NAME))
            problems.append(f"{_shorten(str(name))}: unknown setting; {hint}")
            continue
        if value is None:
            continue
        # Clients fill merged configuration with defaults: those do not override what the user chose.
        is_merged = source is Source.WORKSPACE and setting.scope is not Scope.RESOURCE
        problem = _problem_of(setting, value) or _refusal_of(setting, value, source, base)
        if problem:
            problems.append(problem)
        elif not is_merged or value != setting.default:
            values[setting.attribute] = setting.type(value)
    return ParsedSettings(replace(base, **values), tuple(problems), frozenset(_camel_case(name) for name in values))


def _problem_of(setting: Setting, value: object) -> str | None:
    """What is wrong with the value itself."""
    accepted = f"{setting.name}: expected {_describe_values(setting)}, got {_show_value(value)}"
    if setting.type is bool or isinstance(value, bool):
        return None if setting.type is bool and isinstance(value, bool) else accepted
    if setting.type is str:
        good = isinstance(value, str) and (value.strip() != "" or value == setting.default)
        return None if good and (not setting.choices or value in setting.choices) else accepted
    if not isinstance(value, int | float) or (isinstance(value, float) and not math.isfinite(value)):
        return accepted
    if setting.type is int and value != int(value):
        return accepted
    low, high = setting.minimum, setting.maximum
    in_range = (low is None or value >= low) and (high is None or value <= high)
    return None if in_range else accepted


def _refusal_of(setting: Setting, value: object, source: Source, user: Settings) -> str | None:
    """Why a value may not come from where it came from; one that changes nothing is never refused."""
    if source is Source.USER or setting.scope is Scope.RESOURCE:
        return None
    if value == getattr(user, setting.attribute) or value == setting.default:
        return None
    if setting.scope is Scope.MACHINE and user.allow_workspace_model:
        return None
    remedy = f"set {setting.name} among your own settings, the client's initialization options"
    if setting.scope is Scope.MACHINE:
        remedy += ", or allow it there with allowWorkspaceModel"
    return f"{setting.name}: {_show_value(value)} is refused, because a workspace may not set it; {remedy}"


def _describe_values(setting: Setting) -> str:
    if setting.type is bool:
        return "true or false"
    if setting.choices:
        return "one of " + ", ".join(setting.choices)
    if setting.type is str:
        return "a non-empty string"
    noun = "a whole number" if setting.type is int else "a number"
    if setting.minimum is not None and setting.maximum is not None:
        return f"{noun} from {setting.minimum:g} to {setting.maximum:g}"
    return noun


def _show_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _shorten(repr(value))
    return _shorten(str(value)) if isinstance(value, int | float) else _kind_of(value)


def _shorten(text: str, limit: int = 100) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _kind_of(value: object) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    return {str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
