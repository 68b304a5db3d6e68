"""Pages of a long list: which is asked for, and the links to the one before and the one after."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from salus.portal.call import Call

PAGE_ENTRIES: Final = 20
NUMBER_MAX: Final = 500


def number_of(call: Call) -> int:
    """Return which page is asked for; the first for whatever is no number of one."""
    asked = call.query.get("page", "")
    return min(max(int(asked), 1), NUMBER_MAX) if asked.isascii() and asked.isdigit() and len(asked) < 5 else 1


def pages(
    call: Call, number: int, *, has_more: bool, before: str = "", after: str = "", **more: object
) -> dict[str, object]:
    """Return the links as the pagination component takes them; nothing where there is one page only.

    Args:
        before, after: what is said of the pages there, where a list is not from new to old.
        more: what their addresses say beside what this one does.
    """
    links: dict[str, object] = {}
    if number > 1:
        links["previous"] = {"href": _href(call, number - 1, more), "text": before or call.words("Newer")}
    if has_more:
        links["next"] = {"href": _href(call, number + 1, more), "text": after or call.words("Older")}
    return links | {"ariaLabel": call.words("Pages")} if links else {}


def _href(call: Call, number: int, more: Mapping[str, object]) -> str:
    return f"{call.location}?{urlencode({**call.query, **more, 'page': number})}"
