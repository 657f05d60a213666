"""SchemaRegistry: ids for schemas and schemas for ids, each asked for once.

Asking is two steps, because converters are synchronous and do no I/O: `written` and `text` answer from memory
or say None; `fetch_written` and `fetch_text` go to the registry, after which memory has the answer. The loop
that runs a converter does the fetching (plugins.contracts.NotReady), so that no row waits for a request whose
answer is known, and the event loop is never blocked.

Requests are those of Confluent's client, in its order. An address that does not answer, or answers that it
cannot now (registry.faults: retriable), is passed over for the next; when all fail the round is repeated, later
each time. Any other refusal is an error at once. A connection is opened per fetch: there is one per schema.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from pycdc.errors import RegistryError
from pycdc.registry import faults
from pycdc.registry.config import RegistryConfig
from pycdc.registry.differences import differences

if TYPE_CHECKING:
    from aiohttp import ClientSession

_TYPE = "application/vnd.schemaregistry.v1+json"
#: What RFC 3986 lets stand in a path's segment, without the plus sign: Karapace reads it as a space.
_SEGMENT = "-._~!$&'()*,;=:@"
#: Schemas of a subject that are remembered at least: what one batch of rows needs has to be known at one time.
_FEWEST = 64
#: Rounds over all addresses, and the wait after the first, seconds: 0.2, 0.4, 0.8, 1.6.
_ROUNDS = 5
_BACK_OFF = 0.2
#: Differences that an error names.
_SHOWN = 5


class Written(NamedTuple):
    """What a record is written with: the id that goes in front of it, and the schema's text."""

    id: int
    text: str


#: A schema that another one refers to, as registries have it: `name` in the text, `subject`, `version`.
Reference = Mapping[str, Any]


class SchemaRegistry:
    """One converter's view of a registry. `kind`: what its schemas are, AVRO, JSON or PROTOBUF."""

    def __init__(self, settings: RegistryConfig, kind: str = "AVRO") -> None:
        self.settings = settings
        self.kind = kind
        #: By subject and text.
        self._written: dict[str, dict[str, Written]] = {}
        self._texts: dict[int, str] = {}
        #: By id: the texts that a schema's text refers to, by the names that it uses.
        self._referred: dict[int, dict[str, str]] = {}
        self._current = 0

    # ---- from memory

    def written(self, subject: str, text: str) -> Written | None:
        """What records of the schema `text` are written with under `subject`; None = fetch it first."""
        return self._written.get(subject, {}).get(text)

    def text(self, id_: int) -> str | None:
        """The schema of an id; None = fetch it first."""
        return self._texts.get(id_)

    def referred(self, id_: int) -> Mapping[str, str]:
        """The texts that the schema of an id refers to, and those that they refer to, by name. Asked behind `text`."""
        return self._referred.get(id_, {})

    # ---- from the registry

    async def fetch_written(self, subject: str, text: str) -> None:
        """Register, or look up, as the settings say. Raises RegistryError."""
        s = self.settings
        if s.auto_register:
            try:
                answer = await self._post(f"{subject_path(subject)}/versions?normalize={_flag(s.normalize)}", subject, text,
                                          faults.REGISTER)  # fmt: skip
            except faults.Incompatible as refused:
                raise await self._explained(refused, subject, text) from None
            except faults.Unexplained as failed:
                reason = await self._incompatible(failed, subject, text)
                raise failed if reason is None else await self._explained(reason, subject, text) from None
            found = Written(_id(answer), text)
        elif s.use_id >= 0:
            references = await self._fetch(s.use_id, subject)
            found = await self._look_up(subject, self._texts[s.use_id], references, normalize=False)
            self._referred[found.id] = self._referred[s.use_id]
        elif s.use_latest:
            answer = await self._get(f"{subject_path(subject)}/versions/latest", subject, "find the latest schema")
            references = self._checked(answer, "the latest schema", subject)
            found = await self._look_up(subject, answer["schema"], references, normalize=False)
            if references:
                self._keep(found.id, found.text, await self._texts_of(references))
        else:
            found = await self._look_up(subject, text, normalize=s.normalize)
        known = self._written.setdefault(subject, {})
        if len(known) >= max(_FEWEST, s.max_schemas):  # tables change; what is still used is asked for again
            known.clear()
        known[text] = found

    async def _explained(self, refused: faults.Incompatible, subject: str, text: str) -> faults.Incompatible:
        """With the level and the fields: Apicurio's answer lacks the one, Karapace's the others. What cannot be asked is left out."""
        level, last = refused.level, ""
        for path in () if level else (config_path(subject), config_path(None)):
            with contextlib.suppress(RegistryError):
                level = level_of(await self._get(path, subject, "read the level"))
                break
        with contextlib.suppress(RegistryError):
            answer = await self._get(f"{subject_path(subject)}/versions/latest", subject, "find the latest schema")
            last, kind = answer["schema"], answer.get("schemaType", "AVRO")
            if kind != self.kind:
                return refused.told(level, f"that is {kind}, not {self.kind}")
        return refused.told(level, "; ".join(differences(last, text, self.kind)[:_SHOWN]))

    async def _incompatible(self, failed: faults.Unexplained, subject: str, text: str) -> faults.Incompatible | None:
        """Whether that is why registering failed; None when the registry does not say so."""
        path = f"/compatibility{subject_path(subject)}/versions/latest?verbose=true"
        answer: dict[str, Any] = {}
        with contextlib.suppress(RegistryError):
            answer = await self._post(path, subject, text, "ask for compatibility")
        if answer.get("is_compatible", True):
            return None
        words = "; ".join(answer.get("messages") or ())
        return faults.incompatible(
            words, where=failed.where, cause=f"{failed.cause}; asked whether it is compatible it says no: {words}",
            url=shown(self.settings.urls[self._current % len(self.settings.urls)]), subject=subject, schema=text,
        )  # fmt: skip

    async def _look_up(self, subject: str, text: str, references: Sequence[Reference] = (), *, normalize: bool) -> Written:
        path = f"{subject_path(subject)}?normalize={_flag(normalize)}&deleted=false"
        return Written(_id(await self._post(path, subject, text, "look up a schema", references)), text)

    async def fetch_text(self, id_: int, subject: str) -> None:
        """The schema of an id. `subject` tells a registry with contexts which one is meant. Raises RegistryError."""
        await self._fetch(id_, subject)

    async def _fetch(self, id_: int, subject: str) -> Sequence[Reference]:
        """As `fetch_text`; what the schema refers to."""
        path = f"/schemas/ids/{id_}?fetchMaxId=false&subject={quote(subject, safe='-._~:')}"
        answer = await self._get(path, subject, f"find schema {id_}")
        references = self._checked(answer, f"schema {id_}", subject)
        self._keep(id_, answer["schema"], await self._texts_of(references))
        return references

    def _keep(self, id_: int, text: str, referred: dict[str, str]) -> None:
        if len(self._texts) >= max(_FEWEST, self.settings.max_schemas):
            self._texts.clear()
            self._referred.clear()
        self._texts[id_] = text
        self._referred[id_] = referred

    def _checked(self, answer: dict[str, Any], what: str, subject: str) -> Sequence[Reference]:
        """The references of a schema that is of our kind. Raises RegistryError for another kind."""
        kind, references = answer.get("schemaType", "AVRO"), answer.get("references") or ()
        if kind != self.kind or (references and self.kind == "AVRO"):
            raise RegistryError(
                f"{what} cannot be used", where=subject,
                cause="it refers to other schemas" if kind == self.kind else f"it is {kind}, not {self.kind}",
                hint="give the topic's messages a converter of their own kind",
            )  # fmt: skip
        return references

    async def _texts_of(self, references: Sequence[Reference]) -> dict[str, str]:
        """The texts referred to, by name, each behind those that it refers to itself."""
        texts: dict[str, str] = {}
        asked: set[str] = set()

        async def gather(references: Sequence[Reference]) -> None:
            for r in references:
                if r["name"] in asked:
                    continue
                asked.add(r["name"])
                path = f"{subject_path(r['subject'])}/versions/{r['version']}?deleted=true"
                answer = await self._get(path, r["subject"], f"find {r['name']}, which a schema refers to")
                await gather(answer.get("references") or ())
                texts[r["name"]] = answer["schema"]

        await gather(references)
        return texts

    # ---- requests

    async def _post(
        self, path: str, subject: str, text: str, act: str, references: Sequence[Reference] = ()
    ) -> dict[str, Any]:
        request: dict[str, Any] = {} if self.kind == "AVRO" else {"schemaType": self.kind}
        if references:
            request["references"] = references
        answer: dict[str, Any] = await self.request("POST", path, subject, act, body_of({**request, "schema": text}), text)
        return answer

    async def _get(self, path: str, subject: str, act: str) -> dict[str, Any]:
        answer: dict[str, Any] = await self.request("GET", path, subject, act)
        return answer

    async def request(
        self, method: str, path: str, subject: str, act: str, body: bytes | None = None, text: str | None = None
    ) -> Any:
        """Over the addresses until one answers; the answer's JSON. `act` says for errors what it is about, `text` is the schema
        that is meant. Raises RegistryError.
        """
        from aiohttp import ClientError, ClientSession, ClientSSLError, ClientTimeout

        s = self.settings
        limits = ClientTimeout(sock_connect=s.connect_timeout / 1000, sock_read=s.read_timeout / 1000)
        failure = RegistryError(f"the schema registry could not {act}", retriable=True)
        async with ClientSession(timeout=limits) as session:
            give_up = time.monotonic() + s.read_timeout / 1000
            for round_ in range(_ROUNDS):
                if round_:
                    if time.monotonic() > give_up:
                        break  # addresses that only time out: the source behind us waits for its turn
                    await asyncio.sleep(_BACK_OFF * 2 ** (round_ - 1))
                for _ in s.urls:
                    url = s.urls[self._current % len(s.urls)]
                    try:
                        status, answer = await self._send(session, method, url, path, body)
                    except ClientSSLError as error:  # another try meets the same certificate
                        raise _untrusted(shown(url), error) from None
                    except (ClientError, OSError, TimeoutError) as error:
                        failure = _unreachable(shown(url), error, act)
                    else:
                        if status == 200:
                            return _parsed(answer, url)
                        failure = faults.refusal(status, answer, url=shown(url), subject=subject, schema=text, act=act)
                        if not failure.retriable:
                            raise failure
                    self._current += 1
        raise failure

    async def _send(
        self, session: ClientSession, method: str, url: str, path: str, body: bytes | None
    ) -> tuple[int, bytes]:
        from yarl import URL

        headers = {"Content-Type": _TYPE, **self.settings.with_prefix("request.header.")}
        authorization = self.settings.authorization(url)
        if authorization is not None:
            headers["Authorization"] = authorization
        tls = {"ssl": self.settings.ssl_context()} if url.startswith("https:") else {}
        target = URL(shown(url) + path, encoded=True)  # as it stands: quoting again would change subjects
        async with session.request(method, target, data=body, headers=headers, proxy=self.settings.proxy, **tls) as response:
            return response.status, await response.read()


def subject_path(subject: str) -> str:
    """The path of a subject's own part of the API."""
    return f"/subjects/{quote(subject, safe=_SEGMENT)}"


def config_path(subject: str | None) -> str:
    """The path of a subject's settings, or of the whole registry's."""
    return "/config" if subject is None else f"/config/{quote(subject, safe=_SEGMENT)}"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def body_of(request: dict[str, Any]) -> bytes:
    """As Jackson writes it: what is not ASCII stays as it is."""
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()


def shown(url: str) -> str:
    """Without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def level_of(answer: dict[str, Any]) -> str:
    """Karapace and Confluent say compatibilityLevel; the answer to a change says compatibility."""
    found = answer.get("compatibilityLevel", answer.get("compatibility"))
    if not isinstance(found, str):
        raise RegistryError("the registry's answer holds no level", cause=str(sorted(answer)))
    return found


def _id(answer: dict[str, Any]) -> int:
    found = answer.get("id")
    if not isinstance(found, int):
        raise RegistryError("the registry's answer holds no id", cause=str(sorted(answer)))
    return found


def _parsed(answer: bytes, url: str) -> Any:
    try:
        parsed = json.loads(answer)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict | list):
        raise RegistryError("the answer is not a schema registry's", where=shown(url),
                            hint="schema.registry.url of Apicurio ends with /apis/ccompat/v7")  # fmt: skip
    return parsed


def _untrusted(url: str, error: Exception) -> RegistryError:
    return RegistryError(
        "the schema registry's TLS certificate is not accepted", where=url, cause=str(error),
        hint="give the authority that signed it, as PEM, in schema.registry.ssl.truststore.location",
    )  # fmt: skip


def _unreachable(url: str, error: Exception, act: str) -> RegistryError:
    return RegistryError(
        f"the schema registry does not answer: cannot {act}", where=url,
        cause=f"{type(error).__name__}: {error}" if str(error) else type(error).__name__,
        hint=f"see whether it is up: curl {url}/subjects", retriable=True,
    )  # fmt: skip
