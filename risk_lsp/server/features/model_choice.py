"""The commands about models, each named in `server/command_table.py`.

What reads and fetches models is imported by the first command that needs it, in a thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from risk_lsp.errors import BadInput
from risk_lsp.probe.manifest import DEFAULT, bundle_path
from risk_lsp.server.features.model_fetch import aside

if TYPE_CHECKING:
    from risk_lsp.server.session import Session


async def list_models(session: Session) -> dict[str, Any]:
    """Answer {models, chosen, setting}: the offers, the folder of the bundle that the person chose, and the setting
    `bundle` where it names another one than the chosen."""
    setting = session.settings.bundle

    def known() -> dict[str, Any]:
        from risk_lsp.model.store import ModelStore
        from risk_lsp.probe.offers import model_offers

        offers = [offer.to_json() for offer in model_offers(ModelStore())]
        return {"models": offers, "chosen": str(bundle_path(None)), "setting": None if setting == DEFAULT else setting}

    return await aside(known)


async def use_model(session: Session, name: str) -> dict[str, str]:
    """Choose a model or a bundle for this user, as `risk-lsp models use`, and have it in use at once. Answer {bundle}:
    its folder. Raises RiskError, and changes nothing, where it cannot be used."""
    if (setting := session.settings.bundle) != DEFAULT:
        raise BadInput(
            f"the setting bundle names {setting}, which goes before what is chosen here",
            "remove the setting bundle, or start the server without --bundle",
        )

    def chosen() -> Path:
        from risk_lsp.model.store import ModelStore
        from risk_lsp.probe.offers import use

        return use(name, ModelStore())

    path = await aside(chosen)
    await session.follow_choice()
    return {"bundle": str(path)}


def fetch_model(session: Session, name: str, token: int | str | None) -> Any:
    """Fetch a model of the catalogue, after the person has agreed."""
    return session.fetches.begin(name, token)


async def add_model(_: Session, path: str) -> dict[str, str | None]:
    """Make a GGUF file or a transformers folder known where it is. Answer {name, bundle}: what it is called, and the
    shipped bundle that reads it. Raises RiskError."""
    place = Path(path).expanduser()
    if not place.is_absolute():
        raise BadInput(f"{path} is not a whole path", "write it from the root folder on, or from ~")

    def added() -> dict[str, str | None]:
        from risk_lsp.model.store import ModelStore
        from risk_lsp.probe.offers import bundles_by_hash

        model = ModelStore().add(place)
        return {"name": model.name, "bundle": bundles_by_hash().get(model.weights_hash)}

    return await aside(added)


async def remove_model(_: Session, name: str) -> dict[str, int]:
    """Forget a model that is not in use. Answer {freed}: how many bytes of a fetched one were removed."""

    def freed() -> int:
        from risk_lsp.model.store import ModelStore
        from risk_lsp.probe.offers import remove

        return remove(name, ModelStore())

    return {"freed": await aside(freed)}
