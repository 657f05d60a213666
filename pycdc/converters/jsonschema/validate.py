"""json.fail.invalid.schema: whether a payload fits its registered schema.

The library is loaded when the first payload is looked at. References are answered from what the registry gave; nothing
is fetched. Errors tell the place and the rule, never the value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urljoin

from pycdc.errors import RecordError

#: Characters of a rule that an error shows.
_SHOWN: Final = 100

Validate = Callable[[str, Any], None]


def validator(text: str, referred: Mapping[str, str]) -> Validate:
    """Called with topic and payload; raises RecordError for one that does not fit."""
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT7

    schema = json.loads(text)
    base = schema.get("$id", "") if isinstance(schema, dict) else ""
    known = {name: Resource.from_contents(json.loads(t), default_specification=DRAFT7) for name, t in referred.items()}
    registry: Registry[Any] = Registry().with_resources(
        [(place, r) for name, r in known.items() for place in {name, urljoin(base, name)}]
    )
    draft = validator_for(schema, default=Draft7Validator)
    checks = draft(schema, registry=registry, format_checker=draft.FORMAT_CHECKER)

    def validate(topic: str, payload: Any) -> None:
        try:
            error = best_match(checks.iter_errors(payload))
        except Unresolvable as unknown:
            raise RecordError(
                "a schema refers to one that the registry does not name", where=topic, cause=f"$ref {unknown.ref}",
                hint="register the schema with its references",
            ) from None  # fmt: skip
        if error is not None:
            rule = json.dumps(error.validator_value)
            rule = rule if len(rule) <= _SHOWN else f"{rule[:_SHOWN]}..."
            raise RecordError(
                "a message does not fit its schema", where=topic, cause=f"{error.json_path}: {error.validator} {rule}",
                hint="mend what writes it, or set json.fail.invalid.schema=false",
            )  # fmt: skip

    return validate
