"""A line on which one byte of everything is flipped, in one direction."""

import httpx2

from salus.testing.story.damage import flipped

RAW_FIELDS_OF_CONNECTION = (b"content-length", b"transfer-encoding", b"connection")


class FlippingLine(httpx2.BaseTransport):
    """Carries requests and answers, and flips a byte in the middle of each body.

    Args:
        on_the_way_there: flip requests; else answers.
    """

    def __init__(self, *, on_the_way_there: bool) -> None:
        self._line = httpx2.HTTPTransport()
        self._flips_requests = on_the_way_there

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry one request there and its answer back."""
        if self._flips_requests:
            body = request.read()
            fields = [each for each in request.headers.raw if each[0].lower() not in RAW_FIELDS_OF_CONNECTION]
            changed = flipped(body, len(body) // 2)
            return self._line.handle_request(
                httpx2.Request(
                    request.method, request.url, headers=fields, content=changed, extensions=request.extensions
                )
            )
        answer = self._line.handle_request(request)
        body = answer.read()
        answer.close()
        fields = [each for each in answer.headers.raw if each[0].lower() not in RAW_FIELDS_OF_CONNECTION]
        changed = flipped(body, len(body) // 2)
        return httpx2.Response(answer.status_code, headers=fields, stream=httpx2.ByteStream(changed))

    def close(self) -> None:
        """End the connections."""
        self._line.close()
