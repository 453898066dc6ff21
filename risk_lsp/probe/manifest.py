"""Where probe bundles are, and what each says about itself: its manifest."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from risk_lsp.errors import BundleError
from risk_lsp.model.registry import store_folder, write_setting
from risk_lsp.probe.calibration import Calibration, Priors
from risk_lsp.probe.token_hazards import ARCHITECTURES, Architecture
from risk_lsp.text.normal_form import READINGS, Reading

FORMAT_VERSION = 1
_FIT_AGAIN = "fit the probe again with `risk-lsp probe fit`"


@dataclass(frozen=True)
class ModelIdentity:
    """The model a probe belongs to.

    `location`, by `kind`: a folder inside the bundle, a folder, a hub id, or the name of a model that the model store
    finds by its hash.
    """

    kind: Literal["bundled", "folder", "hub", "store"]
    location: str
    weights_hash: str
    tokenizer_hash: str
    revision: str | None = None


@dataclass(frozen=True)
class Manifest:
    """Everything a bundle says about itself.

    `layers` are the tapped ones; `width` is the model's; `members` are the probes whose mean hazards count; `reading`
    is how a document is read; `places` says how often lines of each place need an edit, None if the bundle does not.
    `recipe` holds the choices that the probe was fitted by, `command` the same for people; of an older bundle it is
    empty, and the command alone tells.
    """

    name: str
    created: str
    command: str
    host: ModelIdentity
    layers: tuple[int, ...]
    statistics: bool
    width: int
    architecture: Architecture
    hidden: int
    probe_hash: str
    calibration: Calibration
    members: int = 1
    reading: Reading = "verbatim"
    places: Priors | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    trained_on: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)
    novelty: dict[str, Any] = field(default_factory=dict)

    @property
    def priors(self) -> Priors:
        """What the bundle says about places, or what holds for a bundle that says nothing."""
        return self.places or Priors()

    def to_json(self) -> dict[str, Any]:
        """The manifest as the JSON object that is written to disk."""
        value = {"format_version": FORMAT_VERSION, **asdict(self)}
        return {name: value[name] for name in value if name not in ("places", "recipe") or value[name]}


def read_manifest(bundle: Path) -> Manifest:
    """The manifest of the bundle folder. BundleError when it is missing, of another version, or lacks a part."""
    path = bundle / "manifest.json"
    if not bundle.is_dir():
        raise BundleError(f"no probe bundle at {bundle}", 'check the `bundle` setting; "default" is the embedded one')
    if not path.is_file():
        raise BundleError(f"{bundle} is not a probe bundle: it has no manifest.json", _FIT_AGAIN)
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}", "check the permissions of the bundle") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, a number too long, or lists too deep
        raise BundleError(f"{path} is not JSON: {error}", "install or fit the bundle again") from None
    if not isinstance(value, dict):
        raise BundleError(f"{path} is not a JSON object", "install or fit the bundle again")
    version = value.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise BundleError(
            f"{path} has format version {version!r}",
            f"this program reads version {FORMAT_VERSION}; update one of the two",
        )
    return _parse_manifest(value, path)


def write_manifest(manifest: Manifest, bundle: Path) -> None:
    """Write `manifest.json` into the bundle folder, replacing it in one step."""
    fresh = bundle / "manifest.json.new"
    fresh.write_text(json.dumps(manifest.to_json(), indent=1) + "\n", encoding="utf-8")
    fresh.replace(bundle / "manifest.json")


def _parse_manifest(value: dict[str, Any], path: Path) -> Manifest:
    host = _field(value, "host", dict, path)
    kind = _field(host, "kind", str, path)
    architecture = _field(value, "architecture", str, path)
    layers = _field(value, "layers", list, path)
    if kind not in ("bundled", "folder", "hub", "store"):
        raise BundleError(
            f"{path}: the host model's kind {kind!r} is unknown", "it is one of bundled, folder, hub, store"
        )
    if architecture not in ARCHITECTURES:
        raise BundleError(
            f"{path}: the probe architecture {architecture!r} is unknown", f"it is one of {', '.join(ARCHITECTURES)}"
        )
    reading = value.get("reading", "verbatim")
    if reading not in READINGS:
        raise BundleError(
            f"{path}: it reads texts in a way that this program does not know: {reading!r}",
            f"update risk-lsp, or fit the probe again; known are {', '.join(READINGS)}",
        )
    if not all(type(layer) is int and layer >= 0 for layer in layers) or layers != sorted(set(layers)):
        raise BundleError(f"{path}: layers {layers!r} are not rising layer numbers", _FIT_AGAIN)
    if not layers and value.get("statistics") is not True:
        raise BundleError(f"{path}: no layers are tapped and no statistics wanted: nothing to read", _FIT_AGAIN)
    revision = host.get("revision")
    if revision is not None and not isinstance(revision, str):
        raise BundleError(f"{path}: the host model's revision is not text", _FIT_AGAIN)
    return Manifest(
        name=_field(value, "name", str, path),
        created=_field(value, "created", str, path),
        command=_field(value, "command", str, path),
        host=ModelIdentity(
            kind=kind,
            location=_location(host, kind, path),
            weights_hash=_field(host, "weights_hash", str, path),
            tokenizer_hash=_field(host, "tokenizer_hash", str, path),
            revision=revision,
        ),
        layers=tuple(layers),
        statistics=_field(value, "statistics", bool, path),
        width=_positive(value, "width", path),
        architecture=architecture,
        hidden=_positive(value, "hidden", path),
        probe_hash=_field(value, "probe_hash", str, path),
        calibration=Calibration.from_json(value.get("calibration")),
        members=_positive({"members": 1, **value}, "members", path),
        reading=reading,
        places=Priors.from_json(value["places"]) if "places" in value else None,
        recipe=_field({"recipe": {}, **value}, "recipe", dict, path),
        trained_on=_field(value, "trained_on", dict, path),
        figures=_field(value, "figures", dict, path),
        reference=_field(value, "reference", dict, path),
        novelty=_field(value, "novelty", dict, path),
    )


def _field(value: dict[str, Any], name: str, kind: type, path: Path) -> Any:
    found = value.get(name)
    if type(found) is not kind:
        raise BundleError(f"{path}: {name!r} is missing or not a {kind.__name__}", _FIT_AGAIN)
    return found


def _location(host: dict[str, Any], kind: str, path: Path) -> str:
    found: str = _field(host, "location", str, path)
    if not found or "\0" in found:
        raise BundleError(f"{path}: the host model's location {found!r} names nothing", _FIT_AGAIN)
    if kind == "folder" and not Path(found).is_absolute():
        # It would name another folder wherever the program is started.
        raise BundleError(f"{path}: the host model's folder {found!r} is not an absolute path", _FIT_AGAIN)
    return found


def _positive(value: dict[str, Any], name: str, path: Path) -> int:
    found: int = _field(value, name, int, path)
    if not 0 < found <= 65_536:
        raise BundleError(f"{path}: {name!r} is {found}", "it has to be from 1 to 65,536; " + _FIT_AGAIN)
    return found


DEFAULT, BUILT_IN = "default", "built-in"
CHOICE_FILE = "in-use.json"  # beside the models of this user, where no workspace writes
_GO_BACK = "go back to the built-in one: risk-lsp models use default"


def bundle_path(name: str | None) -> Path:
    """The folder of the bundle a person named.

    "default" (or None) is the one that this user has chosen, or else the built-in one; "built-in" is that in any case;
    the name of a shipped bundle is that bundle; anything else is a path. BundleError when the built-in one is missing,
    the choice cannot be read, or the path starts with the home of nobody.
    """
    if name is None or name == DEFAULT:
        name = chosen_bundle() or BUILT_IN
    if name == BUILT_IN:
        return default_bundle_path()
    if name in (shipped := shipped_bundles()):
        return shipped[name]
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise BundleError(f"no probe bundle at {name}: there is no such user", "write the whole path") from None


def default_bundle_path() -> Path:
    """The built-in bundle. BundleError when the installation lacks it."""
    for folder in _weight_folders():
        if (folder / DEFAULT / "manifest.json").is_file():
            return folder / DEFAULT
    raise BundleError("the embedded default bundle is missing from this installation", "install risk-lsp again")


def shipped_bundles() -> dict[str, Path]:
    """The bundles that come with the program beside the built-in one, by name."""
    found = [path.parent for folder in reversed(_weight_folders()) for path in folder.glob("*/manifest.json")]
    return {path.name: path for path in sorted(found) if path.name != DEFAULT}


def chosen_bundle() -> str | None:
    """The bundle that this user has chosen: the name of a shipped one or an absolute path; None without a choice."""
    path = choice_file()
    try:
        chosen = json.loads(path.read_text("utf-8"))["bundle"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        chosen = None
    if not isinstance(chosen, str) or not (chosen in shipped_bundles() or Path(chosen).is_absolute()):
        raise BundleError(f"{path}, which says what bundle is used, is damaged or names none", _GO_BACK)
    return chosen


def choice_file() -> Path:
    """The file that says which bundle this user has chosen; there is none without a choice."""
    return store_folder() / CHOICE_FILE


def choose_bundle(chosen: str | None) -> None:
    """Make a shipped bundle, or the one at an absolute path, this user's default; None undoes the choice."""
    path = choice_file()
    if chosen is not None:
        write_setting(path, json.dumps({"bundle": chosen}) + "\n")
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise BundleError(f"{path} cannot be removed: {error.strerror}", "remove it yourself") from None


def _weight_folders() -> tuple[Path, Path]:
    package = Path(__file__).resolve().parents[1]
    return package / "probe_weights", package.parent / "probe_weights"


@dataclass(frozen=True)
class ReferenceClass:
    """The held-out lines scored in [low, high): what was predicted on average, how often they were edited, how many."""

    low: float
    high: float
    predicted: float
    observed: float
    n: int

    def sentence(self, things: str) -> str:
        """ "of lines scored 35-45%, 39% were edited, n = 612" """
        scored = f"{round(100 * self.low)}-{round(100 * self.high)}%"
        return f"of {things} scored {scored}, {round(100 * self.observed)}% were edited, n = {self.n}"


@dataclass(frozen=True)
class ReferenceTable:
    """The reference classes of one level, by rising score, and the plural of what they count."""

    classes: tuple[ReferenceClass, ...]
    things: str = "lines"

    @classmethod
    def from_manifest(cls, reference: Any, level: str = "line") -> ReferenceTable:
        """From the manifest's "reference" object; a level that it does not have gives an empty table.

        Raises BundleError if what is there is malformed.
        """
        rows = reference.get(level, []) if isinstance(reference, dict) else None
        if not isinstance(rows, list):
            raise BundleError(f'manifest: reference["{level}"] is not a list', "evaluate the bundle again")
        classes = [_reference_class(row, f'manifest: reference["{level}"][{place}]') for place, row in enumerate(rows)]
        return cls(tuple(sorted(classes, key=lambda each: each.low)), f"{level}s")

    def find(self, probability: float) -> ReferenceClass | None:
        """The class that holds the probability; the last one holds its upper end too. None if no line was scored so."""
        for place, each in enumerate(self.classes):
            is_last = place == len(self.classes) - 1
            if each.low <= probability < each.high or (is_last and probability == each.high):
                return each if each.n else None
        return None

    def sentence(self, probability: float) -> str | None:
        """What the probability has meant, as one clause; None if no held-out line was scored like that."""
        found = self.find(probability)
        return found.sentence(self.things) if found else None


def _reference_class(row: Any, name: str) -> ReferenceClass:
    wanted = [field.name for field in fields(ReferenceClass)]
    values = [row.get(key) for key in wanted] if isinstance(row, dict) else []
    if not values or not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        raise BundleError(f"{name} lacks a number among {', '.join(wanted)}", "evaluate the bundle again")
    low, high, predicted, observed = (float(row[key]) for key in wanted[:-1])
    if not 0 <= low < high <= 1 or not 0 <= observed <= 1 or row["n"] < 0:
        raise BundleError(f"{name} is not a class of probabilities", "evaluate the bundle again")
    return ReferenceClass(low, high, predicted, observed, int(row["n"]))
