"""The words of a FHIRPath expression.

Source: FHIRPath 2.0.0 (normative), appendix B; comments, quoted identifiers, environment variables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected

EXPRESSION_CHARS_MAX = 16_384  # the longest of R4 and UK Core has fewer than 2,000
TOKEN = re.compile(
    r"""
    (?P<space>  \s+ | //[^\n]* | /\*.*?\*/ )
  | (?P<moment> @\d{4}(?:-\d\d(?:-\d\d)?)?(?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)? )
  | (?P<time>   @T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)? )
  | (?P<number> \d+(?:\.\d+)? )
  | (?P<string> '(?:[^'\\]|\\.)*' )
  | (?P<quoted> `(?:[^`\\]|\\.)*` )
  | (?P<variable> %(?: [A-Za-z_]\w* | '(?:[^'\\]|\\.)*' | `(?:[^`\\]|\\.)*` ) )
  | (?P<special> \$(?:this|index|total)\b )
  | (?P<word>   [A-Za-z_]\w* )
  | (?P<symbol> <= | >= | != | !~ | [-+*/&|=~<>.,()\[\]{}] )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Token:
    """A word, its kind, and where it begins; the last token has the kind `end`."""

    kind: str
    text: str
    at: int


def tokens(expression: str) -> list[Token]:
    """Cut an expression into tokens, without spaces and comments.

    Raises:
        PathRejected: TOO_LONG, or SYNTAX at the first character that begins nothing.
    """
    if len(expression) > EXPRESSION_CHARS_MAX:
        expected = f"at most {EXPRESSION_CHARS_MAX:,} characters"
        raise PathRejected(PathFault.TOO_LONG, expected=expected, came=f"{len(expression):,}")
    found, at = [], 0
    while at < len(expression):
        match = TOKEN.match(expression, at)
        if match is None:
            raise PathRejected(PathFault.SYNTAX, expected="FHIRPath", came="a character that begins nothing", at=at)
        if match.lastgroup != "space":
            found.append(Token(match.lastgroup or "", match.group(), at))
        at = match.end()
    return [*found, Token("end", "", at)]


def unquoted(text: str) -> str:
    """What stands between quotes, with its escapes resolved; two escaped halves make one character.

    Raises:
        PathRejected: SYNTAX for half a character, which no encoding can write.
    """
    found = ESCAPE.sub(unescaped, text[1:-1])
    try:
        return found if found.isascii() else found.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise PathRejected(PathFault.SYNTAX, expected="whole characters", came="half of one") from None


def unescaped(match: re.Match[str]) -> str:
    """The character that an escape stands for; an unknown escape stands for its own character."""
    letter = match[1]
    return chr(int(letter[1:], 16)) if len(letter) == 5 else ESCAPED.get(letter, letter)
