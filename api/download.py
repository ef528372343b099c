"""An uploaded file as an answer, whole or a range of it."""

from starlette.datastructures import MutableHeaders
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from api.errors import ProblemResponse, problem

_SENTENCES = {
    400: ("malformed", "The Range header does not parse; send bytes=FIRST-LAST."),
    416: ("range_not_satisfiable", "The file ends before that range; Content-Range has its length."),
}


class Download(FileResponse):
    """starlette's FileResponse, which takes Range and If-Range, with refused ranges told as problems."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the file."""
        refused: ProblemResponse | None = None

        async def send_told(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in _SENTENCES:
                code, sentence = _SENTENCES[message["status"]]
                length = MutableHeaders(scope=message).get("content-range")
                headers = {} if length is None else {"Content-Range": length}
                refused = ProblemResponse(problem(message["status"], code, sentence), headers)
            elif refused is None:
                await send(message)

        await super().__call__(scope, receive, send_told)
        if refused is not None:
            await refused(scope, receive, send)
