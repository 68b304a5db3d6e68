"""From the words of an expression to its tree: operator precedence as a table.

Source: FHIRPath 2.0.0, appendix B and section 6.8 (precedence).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.tokens import Token, tokens, unquoted

NESTING_MAX = 64
NUMBER_CHARS_MAX = 100
BINDING = {
    **dict.fromkeys(("*", "/", "div", "mod"), 10),
    **dict.fromkeys(("+", "-", "&"), 9),
    **dict.fromkeys(("is", "as"), 8),
    "|": 7,
    **dict.fromkeys((">", "<", ">=", "<="), 6),
    **dict.fromkeys(("=", "~", "!=", "!~"), 5),
    **dict.fromkeys(("in", "contains"), 4),
    "and": 3,
    **dict.fromkeys(("or", "xor"), 2),
    "implies": 1,
}
UNARY = 11
PERIODS = ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
PERIOD_WORDS = {word: name for name in PERIODS for word in (name, name + "s")}


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the text. `kind`: boolean, integer, decimal, string, moment, time."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity that stands in the text; `unit` is a UCUM code, or the name of a calendar period."""

    number: Decimal
    unit: str
    is_period: bool
    at: int


@dataclass(frozen=True, slots=True)
class Empty:
    """`{}`."""

    at: int


@dataclass(frozen=True, slots=True)
class Member:
    """`source.name`; without a source, of what the expression is about."""

    source: Tree | None
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """`source.name(arguments)`."""

    source: Tree | None
    name: str
    arguments: tuple[Tree, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Index:
    """`source[index]`."""

    source: Tree
    index: Tree
    at: int


@dataclass(frozen=True, slots=True)
class Sign:
    """`-operand` or `+operand`."""

    sign: str
    operand: Tree
    at: int


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`."""

    operator: str
    left: Tree
    right: Tree
    at: int


@dataclass(frozen=True, slots=True)
class OfType:
    """`operand is type` or `operand as type`."""

    operator: str
    operand: Tree
    type_name: str
    at: int


@dataclass(frozen=True, slots=True)
class Variable:
    """`%name`."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Special:
    """`$this`, `$index` or `$total`."""

    name: str
    at: int


Tree = Literal | Amount | Empty | Member | Call | Index | Sign | Binary | OfType | Variable | Special


def parse(expression: str) -> Tree:
    """Read one expression.

    Raises:
        PathRejected: SYNTAX with the place, or TOO_LONG.
    """
    reader = Reader(tokens(expression))
    tree = reader.expression(0)
    reader.expect("end", "the end of the expression or an operator")
    return tree


class Reader:
    """Reads one tree from a list of tokens, by precedence climbing."""

    def __init__(self, found: list[Token]) -> None:
        """Begin at the first token."""
        self.found = found
        self.next = 0
        self.nesting = 0

    @property
    def token(self) -> Token:
        """What comes next."""
        return self.found[self.next]

    def take(self) -> Token:
        """Go on by one token."""
        token = self.token
        self.next += 1
        return token

    def comes(self, text: str) -> bool:
        """Whether this symbol or word comes next; if so, go on."""
        if self.token.kind in ("symbol", "word") and self.token.text == text:
            self.next += 1
            return True
        return False

    def expect(self, kind: str, expected: str) -> Token:
        """The next token, which has to be of this kind or this very symbol."""
        token = self.token
        if kind not in (token.kind, token.text) or token.kind in ("string", "quoted"):
            raise self.refused(expected)
        self.next += 1
        return token

    def refused(self, expected: str) -> PathRejected:
        """The refusal of what comes next."""
        came = "the end" if self.token.kind == "end" else f"a {self.token.kind}"
        return PathRejected(PathFault.SYNTAX, expected=expected, came=came, at=self.token.at)

    def expression(self, above: int) -> Tree:
        """An expression of operators that bind more tightly than `above`."""
        self.nesting += 1
        if self.nesting > NESTING_MAX:
            raise self.refused(f"at most {NESTING_MAX} levels of nesting")
        tree = self.signed()
        while self.token.kind in ("symbol", "word") and BINDING.get(self.token.text, 0) > above:
            tree = self.operation(tree)
        self.nesting -= 1
        return tree

    def operation(self, left: Tree) -> Tree:
        """What an operator makes of the tree before it."""
        token = self.take()
        if token.text in ("is", "as"):
            return OfType(token.text, left, self.type_name(), token.at)
        return Binary(token.text, left, self.expression(BINDING[token.text]), token.at)

    def signed(self) -> Tree:
        """A term, or a sign before one."""
        token = self.token
        if self.comes("-") or self.comes("+"):
            return Sign(token.text, self.expression(UNARY - 1), token.at)
        return self.invocations(self.term())

    def invocations(self, tree: Tree) -> Tree:
        """All that follows a term by `.` and `[`."""
        while True:
            at = self.token.at
            if self.comes("."):
                tree = self.invocation(tree)
            elif self.comes("["):
                tree = Index(tree, self.expression(0), at)
                self.expect("]", "]")
            else:
                return tree

    def invocation(self, source: Tree | None) -> Tree:
        """A name after `.`, or at the beginning: a member, or with parentheses a function."""
        token = self.take()
        if token.kind == "special":
            return Special(token.text, token.at)
        if token.kind not in ("word", "quoted"):
            self.next -= 1
            raise self.refused("a name")
        name = unquoted(token.text) if token.kind == "quoted" else token.text
        if not self.comes("("):
            return Member(source, name, token.at)
        return Call(source, name, self.arguments(), token.at)

    def arguments(self) -> tuple[Tree, ...]:
        """What stands between the parentheses of a call."""
        found: list[Tree] = []
        while not self.comes(")"):
            if found:
                self.expect(",", ", or )")
            found.append(self.expression(0))
        return tuple(found)

    def term(self) -> Tree:
        """What no operator holds together."""
        token = self.token
        if token.kind in ("moment", "time", "string"):
            self.next += 1
            return Literal(token.kind, unquoted(token.text) if token.kind == "string" else token.text, token.at)
        if token.kind == "number":
            return self.number()
        if token.kind == "variable":
            self.next += 1
            name = token.text[1:]
            return Variable(unquoted(name) if name[0] in "'`" else name, token.at)
        if token.text in ("true", "false") and token.kind == "word":
            self.next += 1
            return Literal("boolean", token.text, token.at)
        return self.enclosed() or self.invocation(None)

    def number(self) -> Tree:
        """A number, or a quantity where a unit follows."""
        if len(self.token.text) > NUMBER_CHARS_MAX:
            raise self.refused(f"a number of at most {NUMBER_CHARS_MAX} characters")
        token = self.take()
        unit = self.token
        if unit.kind == "string":
            self.next += 1
            return Amount(Decimal(token.text), unquoted(unit.text), is_period=False, at=token.at)
        if unit.kind == "word" and unit.text in PERIOD_WORDS:
            self.next += 1
            return Amount(Decimal(token.text), PERIOD_WORDS[unit.text], is_period=True, at=token.at)
        return Literal("decimal" if "." in token.text else "integer", token.text, token.at)

    def enclosed(self) -> Tree | None:
        """`( … )` or `{}`; None when neither comes next."""
        at = self.token.at
        if self.comes("("):
            tree = self.expression(0)
            self.expect(")", ")")
            return tree
        if self.comes("{"):
            self.expect("}", "}")
            return Empty(at)
        return None

    def type_name(self) -> str:
        """`Name` or `Namespace.Name`."""
        parts = [self.expect("word", "the name of a type") if self.token.kind != "quoted" else self.take()]
        while self.comes("."):
            parts.append(self.take())
        return ".".join(unquoted(part.text) if part.kind == "quoted" else part.text for part in parts)


def type_name_of(tree: Tree) -> str | None:
    """The name of a type that stands as an argument, as in `ofType(FHIR.Patient)`; None when it is no name."""
    if not isinstance(tree, Member):
        return None
    before = "" if tree.source is None else type_name_of(tree.source)
    return None if before is None else f"{before}.{tree.name}".removeprefix(".")
