"""How it looks what a custodian has answered, whoever asked, and who can be asked once more."""

from typing import Final

from salus.node.services.collect import Answered

COLOURS: Final = {
    Answered.ASKING: "blue",
    Answered.CAME: "green",
    Answered.NOTHING_THERE: "grey",
    Answered.DENIED: "orange",
    Answered.REFUSED: "orange",
    Answered.SILENT: "red",
    Answered.ENDED: "orange",
}
AGAIN: Final = frozenset({Answered.REFUSED, Answered.SILENT})
