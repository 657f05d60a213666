"""What a registry's refusal means and what to do about it: by status and error code, never by wording alone.

The one thing read out of texts is what they add: the level, and the place of an incompatible field.
Source: Confluent's Schema Registry API reference, "Errors"; Apicurio's answers in the captures; Karapace's as recorded
for the tests.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any, Final

from pycdc.errors import RegistryError

#: Confluent's and Karapace's.
_LEVEL = re.compile(r"compatibility: '(\w+)'|compatibility_mode=(\w+)")
_POINTER = re.compile(r"at (?:path '?)?(/fields/[\w/]+)")
_PATH = re.compile(r"at path '(/[\w/]+)'")
#: Into a JSON Schema, Confluent's and Apicurio's.
_PROPERTY = re.compile(r"at (?:path '#)?(/(?:\w+/)*properties/[^\s'\]]+)")
_NAMES = re.compile(r"properties/([^/]+)")

_INCOMPATIBLE = "the registry refuses the schema as incompatible with the subject's last one"

#: Into a .proto text, Confluent's and Apicurio's.
_PROTO_PATH = re.compile(r"at path:? '#/([\w./]+/\d+)'")
_PROTO_MESSAGE = re.compile(r"message (\w+) ?, before")

#: Statuses after which another address, or the same one later, may answer.
_TRANSIENT = frozenset((408, 429, 502, 503, 504))

#: Codes that say so under HTTP 500: the operation took too long, it could not be handed to the primary, there is no primary.
_TRANSIENT_CODES = frozenset((50002, 50003, 50004))

#: Codes of HTTP 422 that mean the schema; others mean a level, a version, a subject's name.
_INVALID_SCHEMA = (None, 422, 42201)

#: What a request is for, as its errors say it.
REGISTER: Final = "register a schema"

_NO_SUBJECT = 40401
#: No level of its own, no mode of its own.
_NOT_CONFIGURED = (40408, 40409)


class NotThere(RegistryError):
    """The registry has no such subject, version or setting."""


class Unexplained(RegistryError):
    """The registry failed and did not say at what. Karapace answers so while its primary is gone, 5.0 also for what that refuses."""

    retriable = True


class Incompatible(RegistryError):
    """The registry holds the subject to a level which the schema does not keep."""

    #: What the answer itself gave of the level and the places; empty when nothing.
    level = ""
    places = ""

    def told(self, level: str, places: str) -> Incompatible:
        """The same refusal with what else is known, which is more exact than what an answer points at."""
        told = Incompatible(
            _INCOMPATIBLE + (f": {places or self.places}" if places or self.places else "")
            + (f" (level {level or self.level})" if level or self.level else ""),
            where=self.where, cause=self.cause, hint=self.hint,
        )  # fmt: skip
        told.level, told.places = level or self.level, places or self.places
        return told


def refusal(status: int, body: bytes, *, url: str, subject: str, schema: str | None, act: str) -> RegistryError:
    """The error for an answer that is not 200. `act` is what was asked for: "register a schema", ..."""
    code, message = _answer(body)
    where = f"{url}, subject {subject}" if subject else url
    cause = f"HTTP {status}" + (f", error code {code}" if code not in (None, status) else "") + (f": {message}" if message else "")

    def error(what: str, hint: str = "", *, retriable: bool = False) -> RegistryError:
        return RegistryError(what, where=where, cause=cause, hint=hint, retriable=retriable)

    if status in (401, 403) or (code == _NO_SUBJECT and act == REGISTER):  # registering needs none: so Karapace since 6 says "forbidden"
        return error(
            "the schema registry does not let us in" if status == 401 else f"the schema registry does not allow us to {act}",
            "check basic.auth.credentials.source and basic.auth.user.info, or bearer.auth.token, of the converter",
        )
    if status == 409:
        return incompatible(message, where=where, cause=cause, url=url, subject=subject, schema=schema)
    if status == 404 and code in _NOT_CONFIGURED:
        return NotThere("the subject has no setting of its own", where=where, cause=cause)
    if status == 404 and code == _NO_SUBJECT:
        hint = "register the schema there, or set auto.register.schemas=true; Karapace says the same of subjects that the login has no right to"
        return NotThere("the registry has no such subject", where=where, cause=cause, hint=hint)
    if status == 404 and code in (40402, 40403):
        return error(
            f"the registry does not know the schema: cannot {act}",
            "register the schema there, or set auto.register.schemas=true; ids belong to one registry and are not the same in another",
        )
    if status == 404:
        return error("there is no schema registry at this address", "schema.registry.url of Apicurio ends with /apis/ccompat/v7")
    if status == 422 and code in _INVALID_SCHEMA:
        return error(
            "the registry does not accept the schema as valid",
            "names may be the fault: set schema.name.adjustment.mode=avro and field.name.adjustment.mode=avro",
        )
    if status == 500 and code in (None, 500):
        return Unexplained(f"the registry could not {act}", where=where, cause=cause, hint="its own log says why")
    return error(f"the registry could not {act}", retriable=status in _TRANSIENT or code in _TRANSIENT_CODES)


def incompatible(message: str, *, where: str, cause: str, url: str, subject: str, schema: str | None) -> Incompatible:
    """The error for a schema which the registry calls incompatible, with these words."""
    hint = (
        f"make the change compatible (a new column nullable or with a default{_closed(schema)}), or lower the subject's level: "
        f"pycdc registry level {shlex.quote(subject)} --set NONE --url {url} (without --set it shows the level)"
    )
    return Incompatible(where=where, cause=cause, hint=hint).told(_level(message), _place(message, schema))


def _answer(body: bytes) -> tuple[int | None, str]:
    try:
        answer = json.loads(body)
        return answer.get("error_code"), str(answer.get("message", ""))
    except (ValueError, AttributeError):
        return None, body[:200].decode("utf-8", "replace")


def _level(message: str) -> str:
    found = _LEVEL.search(message)
    return found[1] or found[2] if found else ""


def _place(message: str, schema: str | None) -> str:
    """The names of the fields that the answer points at."""
    if schema is not None and schema.startswith("syntax"):
        return _proto_place(message, schema)
    pointers = dict.fromkeys(_POINTER.findall(message) + _PATH.findall(message))
    properties = dict.fromkeys(".".join(_NAMES.findall(p)) for p in _PROPERTY.findall(message))
    if properties:
        return f"field {', '.join(properties)}"
    if schema is None or not pointers:
        return ""
    try:
        whole = json.loads(schema)
    except ValueError:
        return ""
    names = dict.fromkeys(name for p in pointers if (name := field_at(whole, p)))
    return f"field {', '.join(names)}" if names else ""


def _closed(schema: str | None) -> str:
    """What makes a new column compatible where a JSON Schema lets objects have any property, which it then may be already."""
    is_open = schema is not None and '"type":"object"' in schema and '"additionalProperties":false' not in schema
    return ", from schemas with object.additional.properties=false on" if is_open else ""


def _proto_place(message: str, schema: str) -> str:
    """The same of a .proto text: Confluent tells a field's number, Apicurio the message alone."""
    found = {}
    for path in _PROTO_PATH.findall(message):
        *names, number = path.split("/")
        name = names[-1].rpartition(".")[2]  # a number: of a field whose message stands elsewhere
        body = re.search(rf"message {re.escape(name)} \{{\n((?:.*\S.*\n)*)", schema)
        field = body and re.search(rf"(\w+) = {number}[ ;]", body[1])
        if field:
            found[f"{name}.{field[1]}"] = True
    if found:
        return f"field {', '.join(found)}"
    names = list(dict.fromkeys(_PROTO_MESSAGE.findall(message)))
    return f"message {', '.join(names)}" if names else ""


def field_at(schema: Any, pointer: str) -> str:
    """The dotted name of the field at a JSON pointer into a schema; empty when it leads nowhere."""
    names: list[str] = []
    node = schema
    for step in pointer.strip("/").split("/"):
        try:
            node = node[int(step)] if isinstance(node, list) else node[step]
        except (KeyError, IndexError, ValueError, TypeError):
            break
        if isinstance(node, dict) and "name" in node and not {"fields", "symbols", "size"} & node.keys():
            names.append(node["name"])
    return ".".join(names)
