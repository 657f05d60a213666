"""The expression language of Filter and ContentBasedRouter: what Groovy and JavaScript have in common.

    value.op == 'u' && value.after.country in ['DE', 'FR']
    value.after?.vip ? 'vip.' + value.source.table : null

Our own parser over tokens; nothing is evaluated but these forms, and no name is known but the record's: topic,
key, value, keySchema, valueSchema, header. Values behave as Groovy's: null, false, 0 and what is empty are false
in a condition; a field of null stops the record, `?.` gives null instead. docs/expressions.md is the whole of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple, NoReturn

from pycdc.errors import RecordError
from pycdc.model.javaregex import compile_java
from pycdc.model.javatext import java_text
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.transforms.operand import known, or_default

VARIABLES: Final = ("topic", "key", "value", "keySchema", "valueSchema", "header")
EXAMPLE: Final = "value.op == 'u' && value.after.id > 5 ? 'big' : null"

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?[LlfFdDgG]?)|(?P<name>[A-Za-z_$][\w$]*)
    |(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<mark>===|!==|==~|=~|==|!=|<=|>=|&&|\|\||\?\.|\?:|[-+*/%<>!?:.,()\[\]]))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
#: How deep an expression may nest and how many operators it may have: Python's own stack would end behind it.
_MAX_DEPTH = 40
_MAX_NODES = 200


class ExpressionError(ValueError):
    """The text is outside the language; the message shows where and what is."""


class _Struct(NamedTuple):
    schema: Schema
    fields: Mapping[str, Any]


class _Header(NamedTuple):
    schema: Any
    value: Any


#: Where the names of an expression get their values.
Scope = Mapping[str, Any]
_Node = Callable[[Scope], Any]


class Expression:
    """A parsed expression. Raises ExpressionError; `evaluate` raises RecordError, and NeedsValue for a leaf."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._root = _Parser(text).whole()

    def evaluate(self, record: Record) -> Any:
        """None, bool, int, float, Decimal, str, bytes, or a list; anything else is a part of the record."""
        scope = {
            "topic": record.topic,
            "key": _seen(record.key_schema, record.key), "value": _seen(record.value_schema, record.value),
            "keySchema": record.key_schema, "valueSchema": record.value_schema,
            "header": {h.key: _Header(h.schema, _seen(h.schema, h.value)) for h in record.headers},
        }  # fmt: skip
        return self._root(scope)


def _seen(schema: Schema | None, value: Any) -> Any:
    return _Struct(schema, value) if schema is not None and schema.type == "struct" and type(value) is dict else value


def truth(value: Any) -> bool:
    """Groovy's truth."""
    value = known(value)
    return True if isinstance(value, (_Struct, _Header)) else bool(value)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


class _Parser:
    """One method per level, the loosest first."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[_Token] = list(self._tokens())
        self.at = 0
        self.depth = 0
        self.nodes = 0

    def _tokens(self) -> Iterator[_Token]:
        at, end = 0, len(self.text.rstrip())
        while at < end:
            match = _TOKEN.match(self.text, at)
            if match is None:
                self.fail(len(self.text) - len(self.text[at:].lstrip()))
            assert match.lastgroup is not None
            yield _Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))
            at = match.end()
        yield _Token("end", "", end)

    def fail(self, at: int, why: str = "") -> NoReturn:
        found = self.text[at : at + 20] or "its end"
        raise ExpressionError(
            f"{why or 'is outside the expression language'} (character {at + 1}: {found}). It knows the fields of "
            f"{', '.join(VARIABLES)}, == != < <= > >= in =~ ==~, && || !, + - * / %, a ? b : c, [lists] and some methods, "
            f"but no statements, closures, assignments or calls of Java. Write for example: {EXAMPLE}"
        )

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def take(self, *marks: str) -> str:
        """The next token's text if it is one of these marks or words; then it is taken."""
        if self.token.kind in ("mark", "name") and self.token.text in marks:
            self.at += 1
            return self.tokens[self.at - 1].text
        return ""

    def expect(self, mark: str) -> None:
        if not self.take(mark):
            self.fail(self.token.at, f"lacks {mark}")

    def whole(self) -> _Node:
        node = self.choice()
        if self.token.kind != "end":
            self.fail(self.token.at)
        return node

    def deeper(self, level: Callable[[], _Node]) -> _Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self.fail(self.token.at, "nests too deep")
        node = level()
        self.depth -= 1
        return node

    def longer(self) -> None:
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            self.fail(self.token.at, "is too long")

    def choice(self) -> _Node:
        return self.deeper(lambda: self.chosen(self.either()))

    def chosen(self, condition: _Node) -> _Node:
        if self.take("?:"):
            other = self.choice()
            return lambda s: found if truth(found := condition(s)) else other(s)
        if not self.take("?"):
            return condition
        yes = self.choice()
        self.expect(":")
        no = self.choice()
        return lambda s: yes(s) if truth(condition(s)) else no(s)

    def either(self) -> _Node:
        parts = [self.both()]
        while self.take("||", "or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else lambda s: any(truth(part(s)) for part in parts)

    def both(self) -> _Node:
        parts = [self.compared()]
        while self.take("&&", "and"):
            parts.append(self.compared())
        return parts[0] if len(parts) == 1 else lambda s: all(truth(part(s)) for part in parts)

    def compared(self) -> _Node:
        node = self.summed()
        while True:
            mark = self.take("===", "!==", "==~", "=~", "==", "!=", "<=", ">=", "<", ">", "in")
            if not mark:
                return node
            self.longer()
            node = _binary(mark, node, self.summed())

    def summed(self) -> _Node:
        node = self.multiplied()
        while mark := self.take("+", "-"):
            self.longer()
            node = _binary(mark, node, self.multiplied())
        return node

    def multiplied(self) -> _Node:
        node = self.signed()
        while mark := self.take("*", "/", "%"):
            self.longer()
            node = _binary(mark, node, self.signed())
        return node

    def signed(self) -> _Node:
        mark = self.take("!", "not", "-")
        if not mark:
            return self.member()
        inner = self.deeper(self.signed)
        if mark == "-":
            return _binary("-", lambda _: 0, inner)
        return lambda s: not truth(inner(s))

    def member(self) -> _Node:
        node = self.primary()
        while True:
            mark = self.take(".", "?.", "[")
            if not mark:
                return node
            self.longer()
            if mark == "[":
                index = self.choice()
                self.expect("]")
                node = _indexed(node, index)
                continue
            token = self.token
            if token.kind not in ("name", "text"):
                self.fail(token.at)
            self.at += 1
            name = token.text if token.kind == "name" else _text(token.text)
            node = self.call(node, name, token.at, safe=mark == "?.") if self.take("(") else _field(node, name, safe=mark == "?.")

    def call(self, node: _Node, name: str, at: int, *, safe: bool) -> _Node:
        method = _METHODS.get(name)
        if method is None:
            self.fail(at, f"knows no method {name} (there are {', '.join(_METHODS)})")
        arguments = self.listed(")")
        if len(arguments) != method.arguments:
            self.fail(at, f"gives {name} {len(arguments)} arguments, it takes {method.arguments}")
        return _called(node, name, method.run, arguments, safe=safe)

    def listed(self, end: str) -> list[_Node]:
        items: list[_Node] = []
        while not self.take(end):
            if items:
                self.expect(",")
            items.append(self.choice())
        return items

    def primary(self) -> _Node:
        token = self.token
        self.at += 1
        if token.kind == "number":
            number = _number(token.text)
            return lambda _: number
        if token.kind == "text":
            if token.text.startswith('"') and re.search(r"(?<!\\)\$", token.text):
                self.fail(token.at, "has a text with $, which Groovy would fill in: join texts with +")
            text = _text(token.text)
            return lambda _: text
        if token.kind == "mark" and token.text == "(":
            node = self.choice()
            self.expect(")")
            return node
        if token.kind == "mark" and token.text == "[":
            items = self.listed("]")
            return lambda s: [item(s) for item in items]
        if token.kind != "name":
            self.fail(token.at)
        return self.name(token)

    def name(self, token: _Token) -> _Node:
        constants = {"true": True, "false": False, "null": None}
        if token.text in constants:
            constant = constants[token.text]
            return lambda _: constant
        if token.text not in VARIABLES:
            self.fail(token.at, f"knows no name {token.text}")
        return lambda s: s[token.text]


def _number(text: str) -> int | float:
    digits = text.rstrip("LlfFdDgG")
    return int(digits) if digits.isdigit() and text[-1] not in "fFdD" else float(digits)


def _text(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m.group(1), m.group(1)), quoted[1:-1], flags=re.DOTALL)


def _binary(mark: str, left: _Node, right: _Node) -> _Node:
    run = _OPERATORS[mark]

    def evaluate(scope: Scope) -> Any:
        a, b = known(left(scope)), known(right(scope))
        try:
            return run(a, b)
        except (TypeError, ArithmeticError, ValueError) as error:
            kinds = f"{_kind(a)} {mark} {_kind(b)}"
            raise RecordError("an expression cannot be evaluated", cause=f"{kinds}: {type(error).__name__}") from None

    return evaluate


def _kind(value: Any) -> str:
    return "null" if value is None else "struct" if isinstance(value, _Struct) else type(value).__name__


def _equal(a: Any, b: Any) -> bool:
    """A truth value is no number, and a struct equals none but the same."""
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, float) and isinstance(b, Decimal):
        return a == float(b)
    return bool(float(a) == b if isinstance(a, Decimal) and isinstance(b, float) else a == b)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def run(a: Any, b: Any) -> bool:
        numbers = [isinstance(v, (int, float, Decimal)) and not isinstance(v, bool) for v in (a, b)]
        if not all(numbers) and not (isinstance(a, str) and isinstance(b, str)):
            raise TypeError
        return compare(a, b)

    return run


def _plus(a: Any, b: Any) -> Any:
    if isinstance(a, str) or isinstance(b, str):
        return _shown(a) + _shown(b)
    return _calculated(a, b, lambda x, y: x + y)


def _calculated(a: Any, b: Any, run: Callable[[Any, Any], Any]) -> Any:
    if any(isinstance(v, bool) or not isinstance(v, (int, float, Decimal)) for v in (a, b)):
        raise TypeError
    if isinstance(a, float) or isinstance(b, float):
        a, b = float(a), float(b)
    return run(a, b)


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, (_Struct, _Header, dict, list, bytes)):
        raise TypeError
    return java_text(None, value)


def _is_in(a: Any, b: Any) -> bool:
    if not isinstance(b, list):
        raise TypeError
    return any(_equal(a, known(item)) for item in b)


def _matches(a: Any, b: Any, *, whole: bool) -> bool:
    if a is None:
        return False
    pattern = compile_java(b)
    return (pattern.fullmatch(a) if whole else pattern.search(a)) is not None


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": _equal, "===": _equal, "!=": lambda a, b: not _equal(a, b), "!==": lambda a, b: not _equal(a, b),
    "<": _ordered(lambda a, b: a < b), "<=": _ordered(lambda a, b: a <= b),
    ">": _ordered(lambda a, b: a > b), ">=": _ordered(lambda a, b: a >= b),
    "in": _is_in, "=~": lambda a, b: _matches(a, b, whole=False), "==~": lambda a, b: _matches(a, b, whole=True),
    "+": _plus, "-": lambda a, b: _calculated(a, b, lambda x, y: x - y), "*": lambda a, b: _calculated(a, b, lambda x, y: x * y),
    "/": lambda a, b: _calculated(a, b, lambda x, y: x / y), "%": lambda a, b: _calculated(a, b, lambda x, y: x % y),
}  # fmt: skip


def _field(node: _Node, name: str, *, safe: bool) -> _Node:
    return lambda s: _get(known(node(s)), name, safe=safe)


def _indexed(node: _Node, index: _Node) -> _Node:
    def evaluate(scope: Scope) -> Any:
        held, at = known(node(scope)), known(index(scope))
        if isinstance(held, list) and isinstance(at, int) and not isinstance(at, bool):
            return held[at] if -len(held) <= at < len(held) else None
        return _get(held, at, safe=False)

    return evaluate


def _get(held: Any, name: Any, *, safe: bool) -> Any:
    if held is None:
        if safe:
            return None
        raise RecordError("an expression reads a field of null", cause=f"field {name}", hint=f"write ?.{name} where null may stand")
    if isinstance(held, _Struct):
        schema = held.schema.field(name)
        if schema is None:
            raise RecordError("an expression reads a field that is not there", cause=f"field {name} of {held.schema.name or 'a struct'}")
        return _seen(schema, or_default(schema, held.fields.get(name)))
    if isinstance(held, dict):
        return held.get(name)
    if isinstance(held, _Header) and name in ("value", "schema"):
        return held.value if name == "value" else held.schema
    if isinstance(held, Schema) and name in _OF_SCHEMA:
        return _OF_SCHEMA[name](held)
    raise RecordError("an expression reads a field of something that has none", cause=f"field {name} of {_kind(held)}")


_OF_SCHEMA: dict[str, Callable[[Schema], Any]] = {
    "name": lambda s: s.name, "version": lambda s: s.version, "doc": lambda s: s.doc, "optional": lambda s: s.optional, "type": lambda s: s.type,
}  # fmt: skip


class _Method(NamedTuple):
    arguments: int
    run: Callable[..., Any]


def _called(node: _Node, name: str, run: Callable[..., Any], arguments: list[_Node], *, safe: bool) -> _Node:
    def evaluate(scope: Scope) -> Any:
        held = known(node(scope))
        if held is None and safe:
            return None
        values = [known(a(scope)) for a in arguments]
        try:
            return run(held, *values)
        except (TypeError, AttributeError, ValueError):
            raise RecordError("an expression cannot be evaluated", cause=f"{name} of {_kind(held)}") from None

    return evaluate


def _of_text(run: Callable[..., Any]) -> Callable[..., Any]:
    def checked(held: Any, *arguments: Any) -> Any:
        if not all(isinstance(v, str) for v in (held, *arguments)):
            raise TypeError
        return run(held, *arguments)

    return checked


def _size(held: Any) -> int:
    if not isinstance(held, (str, list, dict)):
        raise TypeError
    return len(held)


def _contains(held: Any, part: Any) -> bool:
    return _is_in(part, held) if isinstance(held, list) else bool(_of_text(lambda h, p: p in h)(held, part))


_METHODS: dict[str, _Method] = {
    "startsWith": _Method(1, _of_text(str.startswith)), "endsWith": _Method(1, _of_text(str.endswith)), "contains": _Method(1, _contains),
    "includes": _Method(1, _contains), "equals": _Method(1, _equal),
    "equalsIgnoreCase": _Method(1, _of_text(lambda a, b: a.lower() == b.lower())), "matches": _Method(1, _of_text(lambda a, b: _matches(a, b, whole=True))),
    "toLowerCase": _Method(0, _of_text(str.lower)), "toUpperCase": _Method(0, _of_text(str.upper)), "trim": _Method(0, _of_text(str.strip)),
    "replace": _Method(2, _of_text(str.replace)), "length": _Method(0, _of_text(len)), "size": _Method(0, _size),
    "isEmpty": _Method(0, lambda held: _size(held) == 0), "toString": _Method(0, _shown), "get": _Method(1, lambda held, name: _get(held, name, safe=False)),
    "name": _Method(0, lambda held: _get(held, "name", safe=False)), "version": _Method(0, lambda held: _get(held, "version", safe=False)),
}  # fmt: skip
