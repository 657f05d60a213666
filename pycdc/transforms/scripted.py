"""io.debezium.transforms.Filter and ContentBasedRouter: an expression keeps, drops or routes each record.

Debezium runs Groovy, JavaScript or WebAssembly; here the expression is of transforms.expression, which reads
what those usually say. Text outside it is a configuration error, never another meaning.
"""

from __future__ import annotations

from typing import ClassVar

from pycdc.config.definition import ConfigDef, Kind, Property, one_of, parsed
from pycdc.errors import RecordError
from pycdc.model.javaregex import compile_java
from pycdc.model.record import Record
from pycdc.transforms.expression import EXAMPLE, Expression
from pycdc.transforms.operand import is_null, known
from pycdc.transforms.options import java_pattern


def _language() -> Kind[str]:
    def parse(text: str) -> str:
        word = text.strip().lower()
        if word.startswith("wasm."):
            raise ValueError("WebAssembly is not run here: write the rule as an expression, with language=jsr223.groovy")
        if word not in ("pycdc", "jsr223.groovy", "jsr223.graal.js"):
            raise ValueError("must be pycdc, jsr223.groovy or jsr223.graal.js")
        return word

    return parsed("STRING", parse, "pycdc, jsr223.groovy, jsr223.graal.js")


def _expression() -> Kind[Expression]:
    return parsed("STRING", Expression, f"an expression such as {EXAMPLE}")


class ScriptedConfig(ConfigDef):
    """Options that both share."""

    regex = Property[str | None]("topic.regex", java_pattern(), doc="Topics that the expression is for, matched in full; all without.")
    language = Property[str](
        "language", _language(), default="pycdc",
        doc="Accepted for Debezium's sake: expressions are read as what Groovy and JavaScript have in common (docs/expressions.md).",
    )  # fmt: skip
    nulls = Property[str](
        "null.handling.mode", one_of("keep", "drop", "evaluate"), default="keep", doc="What happens to a record without value."
    )


class FilterConfig(ScriptedConfig):
    """Options of Filter."""

    condition = Property[Expression]("condition", _expression(), required=True, doc="A record for which it is true is kept.")


class ContentBasedRouterConfig(ScriptedConfig):
    """Options of ContentBasedRouter."""

    expression = Property[Expression]("topic.expression", _expression(), required=True, doc="The new topic; null leaves it.")


class _Scripted:
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, ScriptedConfig)
        self._topics = None if settings.regex is None else compile_java(settings.regex)
        self._nulls = settings.nulls

    def apply(self, record: Record) -> Record | None:
        if self._topics is not None and self._topics.fullmatch(record.topic) is None:
            return record
        if self._nulls != "evaluate" and is_null(record.value):
            return record if self._nulls == "keep" else None
        return self._decided(record)

    def _decided(self, record: Record) -> Record | None:
        raise NotImplementedError


class Filter(_Scripted):
    """Keeps what the condition is true for."""

    config = FilterConfig

    def __init__(self, settings: ConfigDef) -> None:
        super().__init__(settings)
        assert isinstance(settings, FilterConfig)
        self._condition = settings.condition

    def _decided(self, record: Record) -> Record | None:
        keep = known(self._condition.evaluate(record))
        if not isinstance(keep, bool):
            raise RecordError("a condition is neither true nor false", cause=f"condition: {self._condition.text}")
        return record if keep else None


class ContentBasedRouter(_Scripted):
    """Sends a record where the expression says."""

    config = ContentBasedRouterConfig

    def __init__(self, settings: ConfigDef) -> None:
        super().__init__(settings)
        assert isinstance(settings, ContentBasedRouterConfig)
        self._expression = settings.expression

    def _decided(self, record: Record) -> Record:
        topic = known(self._expression.evaluate(record))
        if topic is None:
            return record
        if not isinstance(topic, str) or not topic:
            raise RecordError("an expression gives no topic", cause=f"topic.expression: {self._expression.text}")
        return record.replace(topic=topic)
