"""A leak suite for any FHIR R4 server: which paths tell of records that somebody may not see.

Two patients are alike but for a secret: one has it, the other has not. Somebody who may not see the secret asks the
same of both; whatever differs in the answers, or contains a word of the secret, leaks. The suite knows nothing of how
the server decides; who runs it arranges beforehand that the reader may not see what carries the label.

Part of the shipped test kit: `salus leaks --base URL` runs it.
"""

from salus.testing.leaks.awaiting import Answer, Ask
from salus.testing.leaks.paths import PATHS, Path
from salus.testing.leaks.running import Finding, run
from salus.testing.leaks.subjects import LABEL, Subjects, set_up

__all__ = ["LABEL", "PATHS", "Answer", "Ask", "Finding", "Path", "Subjects", "run", "set_up"]
