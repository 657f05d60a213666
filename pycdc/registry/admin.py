"""What users ask a registry by hand: its subjects, their schemas and versions, and the levels that hold them compatible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pycdc.config.files import read_file
from pycdc.config.layers import Layered
from pycdc.errors import ConfigError, Fault
from pycdc.registry.client import SchemaRegistry, body_of, config_path, level_of, shown, subject_path
from pycdc.registry.config import RegistryConfig
from pycdc.registry.faults import NotThere

_URL: Final = "schema.registry.url"
#: What topic.prefix was called before Debezium 2.0.
_OLD_PREFIX: Final = "database.server.name"


class RegistryAdmin(SchemaRegistry):
    """Every method raises RegistryError. `subject` None: the whole registry."""

    async def subjects(self) -> list[str]:
        """All of them, by name."""
        return sorted(await self.request("GET", "/subjects", "", "list subjects"))

    async def subject_of(self, name: str, *, is_key: bool, prefix: str = "") -> str:
        """The subject that is meant by a topic, a table of the connector with this topic.prefix, or a subject's own name."""
        known = set(await self.subjects())
        side = "key" if is_key else "value"
        # Debezium's topics, then those of the JDBC source, whose prefix is put before the name as it is
        candidates = [f"{prefix}{between}{name}-{side}" for between in (".", "") if prefix] + [f"{name}-{side}", name]
        for candidate in candidates:
            if candidate in known:
                return candidate
        near = sorted((s for s in known if name.rpartition(".")[2] in s), key=lambda s: (not s.startswith(name), s))[:5]
        raise NotThere(
            f"the registry has no subject of {name}", where=",".join(shown(u) for u in self.settings.urls),
            cause=f"none of {', '.join(candidates)}",
            hint=f"there are {', '.join(near)}" if near else "pycdc registry subjects lists what there is",
        )  # fmt: skip

    async def versions(self, subject: str) -> list[int]:
        found: list[int] = await self.request("GET", f"{subject_path(subject)}/versions", subject, "list versions")
        return found

    async def schema(self, subject: str, version: str = "latest") -> dict[str, Any]:
        """`subject`, `version`, `id`, `schema` and, where it is not Avro, `schemaType`."""
        found: dict[str, Any] = await self.request("GET", f"{subject_path(subject)}/versions/{version}", subject, f"find version {version}")
        return found

    async def level(self, subject: str | None) -> tuple[str, bool]:
        """The level, and whether the subject has it from the whole registry, as far as the registry tells: Apicurio does not."""
        inherited = False
        if subject is not None:
            try:
                answer = await self.request("GET", config_path(subject), subject, "read the level")
                return level_of(answer), False
            except NotThere:
                inherited = True
        return level_of(await self.request("GET", config_path(None), "", "read the level")), inherited

    async def set_level(self, subject: str | None, level: str) -> None:
        await self.request("PUT", config_path(subject), subject or "", "set the level", body_of({"compatibility": level}))

    async def unset_level(self, subject: str) -> None:
        """The whole registry's holds for the subject again."""
        await self.request("DELETE", config_path(subject), subject, "remove the level")


def of_files(url: str | None, files: Sequence[str]) -> tuple[RegistryAdmin, str]:
    """The registry of a connector's files, or at `url`, and the connector's topic.prefix. Raises ConfigError."""
    texts: dict[str, str] = {}
    for file in files:
        texts |= read_file(file)
    texts = Layered.of(texts).resolved()
    side = next((s for s in ("value", "key") if f"{s}.converter.{_URL}" in texts), "value")
    options = {k.removeprefix(f"{side}.converter."): v for k, v in texts.items() if k.startswith(f"{side}.converter.")}
    if url is not None:
        options[_URL] = url
    faults: list[Fault] = []
    if _URL not in options:
        faults.append(Fault(_URL, "which registry? Give --url URL, or --config FILE with value.converter.schema.registry.url"))
    else:
        settings = RegistryConfig.parse(options, faults)
    if faults:
        raise ConfigError("The registry cannot be asked.", faults=tuple(faults))
    return RegistryAdmin(settings), texts.get("topic.prefix") or texts.get(_OLD_PREFIX, "")
