"""From the tree of an expression to closures: each takes the environment and gives a collection.

What can be known before anything is evaluated is decided here: functions and their arguments, types, literals.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from salus.clinical.fhir.fhirpath import operators
from salus.clinical.fhir.fhirpath.environment import Environment
from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.functions import FUNCTIONS, Function
from salus.clinical.fhir.fhirpath.moments import date_or_time, time_of_day
from salus.clinical.fhir.fhirpath.nodes import Items, Node, members, system
from salus.clinical.fhir.fhirpath.operator_steps import OPERATORS
from salus.clinical.fhir.fhirpath.operators import as_items, singleton
from salus.clinical.fhir.fhirpath.quantities import UCUM, Quantity
from salus.clinical.fhir.fhirpath.syntax import (
    Amount,
    Binary,
    Call,
    Empty,
    Index,
    Literal,
    Member,
    OfType,
    Sign,
    Special,
    Tree,
    Variable,
    type_name_of,
)
from salus.clinical.fhir.fhirpath.type_tests import cast, is_type, named_type
from salus.clinical.fhir.fhirpath.types import Types

Step = Callable[[Environment], Items]
DEPTH_MAX = 100
CONSTANTS = {"sct": "http://snomed.info/sct", "loinc": "http://loinc.org", "ucum": UCUM}
VARIABLES: dict[str, Callable[[Environment], Items]] = {
    "context": lambda env: [env.context],
    "resource": lambda env: [env.resource],
    "rootResource": lambda env: [env.root],
}


class Compiler:
    """Makes the closures of one expression."""

    def __init__(self, types: Types, variables: frozenset[str] = frozenset()) -> None:
        """Begin at depth 0; `variables` are those that the surroundings may give."""
        self.types = types
        self.variables = variables
        self.depth = 0

    def step(self, tree: Tree) -> Step:
        """The closure of a tree.

        Raises:
            PathRejected: TOO_LONG when it is too deep; UNKNOWN_FUNCTION, UNKNOWN_TYPE, UNKNOWN_VARIABLE, BAD_ARGUMENT.
        """
        self.depth += 1
        if self.depth > DEPTH_MAX:
            expected = f"at most {DEPTH_MAX} operations inside each other"
            raise PathRejected(PathFault.TOO_LONG, expected=expected, came="more", at=tree.at)
        made: Step = MAKERS[tree.__class__](self, tree)
        self.depth -= 1
        return made

    def literal(self, tree: Literal) -> Step:
        """A value that never changes."""
        return constant([literal_value(tree)])

    def amount(self, tree: Amount) -> Step:
        """A quantity that never changes."""
        return constant([Quantity(tree.number, tree.unit, tree.is_period)])

    def empty(self, tree: Empty) -> Step:
        """Nothing."""
        return constant([])

    def member(self, tree: Member) -> Step:
        """Elements by name; a type's name at the beginning means the resource itself."""
        if tree.source is None:
            return first_member(tree.name, self.types)
        return next_member(self.step(tree.source), tree.name)

    def call(self, tree: Call) -> Step:
        """A function, with as many arguments as it takes."""
        source = this if tree.source is None else self.step(tree.source)
        if tree.name in TYPE_FUNCTIONS and len(tree.arguments) == 1:
            return TYPE_FUNCTIONS[tree.name](source, self.type_argument(tree))
        function = FUNCTIONS.get(tree.name)
        if function is None:
            raise PathRejected(
                PathFault.UNKNOWN_FUNCTION, expected="a function of FHIRPath", came="another name", at=tree.at
            )
        least, most = function.arguments
        if not least <= len(tree.arguments) <= most:
            expected, came = f"{least} to {most} arguments of {tree.name}()", str(len(tree.arguments))
            raise PathRejected(PathFault.BAD_ARGUMENT, expected=expected, came=came, at=tree.at)
        return self.apply(function, source, tree)

    def apply(self, function: Function, source: Step, tree: Call) -> Step:
        """The call of a known function."""
        if tree.name == "sort":
            steps = [self.sort_key(each) for each in tree.arguments]
            return lambda env: function.run(env, source(env), *steps)
        arguments = [self.step(each) for each in tree.arguments]
        if function.is_lazy:
            return lambda env: function.run(env, source(env), *arguments)
        return eager(function.run, source, arguments)

    def sort_key(self, tree: Tree) -> tuple[Step, bool]:
        """A key of `sort`, and whether it descends, which a minus before it says."""
        if isinstance(tree, Sign) and tree.sign == "-":
            return self.step(tree.operand), True
        return self.step(tree), False

    def type_argument(self, tree: Call) -> str:
        """The type that a function names."""
        name = type_name_of(tree.arguments[0])
        if name is None:
            raise PathRejected(PathFault.BAD_ARGUMENT, expected="the name of a type", came="another term", at=tree.at)
        return named_type(name, self.types, tree.at)

    def index(self, tree: Index) -> Step:
        """One item by its place."""
        source, index = self.step(tree.source), self.step(tree.index)

        def at(env: Environment) -> Items:
            place = system(singleton(index(env)))
            items = source(env)
            return [items[place]] if place.__class__ is int and 0 <= place < len(items) else []

        return at

    def sign(self, tree: Sign) -> Step:
        """A number or quantity with a sign."""
        operand = self.step(tree.operand)

        def signed(env: Environment) -> Items:
            value = system(singleton(operand(env)))
            if value is None:
                return []
            if value.__class__ is int:
                return [-value if tree.sign == "-" else value]
            if value.__class__ is Decimal:
                return [value.copy_negate() if tree.sign == "-" else value]
            if value.__class__ is Quantity:
                number = value.number.copy_negate() if tree.sign == "-" else value.number
                return [Quantity(number, value.unit, value.is_period)]
            raise operators.wrong_pair("a number after a sign", value, value)

        return signed

    def binary(self, tree: Binary) -> Step:
        """An operator between two trees."""
        return OPERATORS[tree.operator](self.step(tree.left), self.step(tree.right))

    def of_type(self, tree: OfType) -> Step:
        """`is` or `as`."""
        return TYPE_FUNCTIONS[tree.operator](self.step(tree.operand), named_type(tree.type_name, self.types, tree.at))

    def variable(self, tree: Variable) -> Step:
        """An environment variable."""
        if tree.name in VARIABLES:
            return VARIABLES[tree.name]
        if tree.name in self.variables:
            return lambda env: as_items(env.around.variables.get(tree.name))
        if tree.name in CONSTANTS:
            return constant([CONSTANTS[tree.name]])
        for prefix, url in (
            ("vs-", "http://hl7.org/fhir/ValueSet/"),
            ("ext-", "http://hl7.org/fhir/StructureDefinition/"),
        ):
            if tree.name.startswith(prefix):
                return constant([url + tree.name.removeprefix(prefix)])
        raise PathRejected(
            PathFault.UNKNOWN_VARIABLE, expected="a variable of FHIRPath", came="another name", at=tree.at
        )

    def special(self, tree: Special) -> Step:
        """What a function walks through."""
        if tree.name == "$this":
            return this
        return (lambda env: [env.index]) if tree.name == "$index" else (lambda env: env.total)


def this(env: Environment) -> Items:
    """What the expression is about at this point."""
    return env.this


def constant(items: Items) -> Step:
    """The same collection each time."""
    return lambda env: items


def literal_value(tree: Literal) -> Any:
    """The plain value of a literal."""
    if tree.kind == "boolean":
        return tree.text == "true"
    if tree.kind == "integer":
        return int(tree.text)
    if tree.kind == "decimal":
        return Decimal(tree.text)
    if tree.kind == "string":
        return tree.text
    found = date_or_time(tree.text[1:], "date") if tree.kind == "moment" else time_of_day(tree.text[1:])
    if found is None:
        expected = "a day and a time that exist"
        raise PathRejected(PathFault.SYNTAX, expected=expected, came="another", at=tree.at)
    return found


def first_member(name: str, types: Types) -> Step:
    """A name at the beginning of an expression."""
    is_type_name = name[:1].isupper()

    def step(env: Environment) -> Items:
        found: Items = []
        for node in env.this:
            if is_type_name and node.__class__ is Node and node.type is not None and name in types.ancestors(node.type):
                found.append(node)
            elif not members(node, name, types, found) and env.strict:
                raise unknown_element()
        env.spend(len(found) + 1)
        return found

    return step


def next_member(source: Step, name: str) -> Step:
    """A name after a point."""

    def step(env: Environment) -> Items:
        found: Items = []
        types = env.types
        for node in source(env):
            if not members(node, name, types, found) and env.strict:
                raise unknown_element()
        env.spend(len(found) + 1)
        return found

    return step


def unknown_element() -> PathRejected:
    """The refusal, in strict mode, of a name that a type does not have."""
    return PathRejected(PathFault.UNKNOWN_ELEMENT, expected="an element of the type", came="another name")


def eager(run: Callable[..., Items], source: Step, arguments: list[Step]) -> Step:
    """A function whose arguments are evaluated first, in what the whole expression is about."""
    if not arguments:
        return lambda env: run(env, source(env))
    if len(arguments) == 1:
        only = arguments[0]
        return lambda env: run(env, source(env), only(env))
    return lambda env: run(env, source(env), *[argument(env) for argument in arguments])


TYPE_FUNCTIONS: dict[str, Callable[[Step, str], Step]] = {
    "is": lambda source, name: lambda env: is_type(source(env), name, env.types),
    "as": lambda source, name: lambda env: cast(env, source(env), name, one=True),
    "ofType": lambda source, name: lambda env: cast(env, source(env), name, one=False),
}
MAKERS: dict[type, Callable[[Compiler, Any], Step]] = {
    Literal: Compiler.literal,
    Amount: Compiler.amount,
    Empty: Compiler.empty,
    Member: Compiler.member,
    Call: Compiler.call,
    Index: Compiler.index,
    Sign: Compiler.sign,
    Binary: Compiler.binary,
    OfType: Compiler.of_type,
    Variable: Compiler.variable,
    Special: Compiler.special,
}
