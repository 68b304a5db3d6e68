"""How a server says no, and how the world does: two kinds; whatever else goes wrong is an `assert` of ours."""


class Rejected(Exception):
    """The rules say no: asking the same again changes nothing.

    Args:
        status: of the HTTP answer.
        number: the native API's permanent number; 0 where there is none.
        code: FHIR's, of the first issue (`not-found`, `forbidden` …), or OAuth's (`invalid_grant` …); else empty.
        words: what was expected, what came, what to do.
    """

    def __init__(self, status: int, words: str, *, number: int = 0, code: str = "") -> None:
        super().__init__(f"{status}: {words}")
        self.status = status
        self.words = words
        self.number = number
        self.code = code


class Unavailable(Exception):
    """The world failed: try later. What was sent may have been done; `X-Request-ID` tells the operator which it was.

    Args:
        retry_after_s: how long to wait, as the server says; 0 where it says nothing.
    """

    def __init__(self, words: str, *, retry_after_s: int = 0) -> None:
        super().__init__(words)
        self.retry_after_s = retry_after_s
