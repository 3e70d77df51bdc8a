"""The full reader of an HTTP answer: llhttp, as geventhttpclient binds it."""

from __future__ import annotations

from geventhttpclient._parser import HTTPResponseParser

_FIRST_FINAL_STATUS = 200


class Answer(HTTPResponseParser):
    """Reads an answer with llhttp and keeps what the ledger needs of it; see `AnswerParser`."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self._is_head = method == "HEAD"
        self.complete = False
        self.reusable = False
        self.status = 0
        self.body_bytes = 0

    def feed(self, data: str | bytes, /) -> None:
        """Take bytes; those after the answer's end make the connection unusable, not the answer wrong."""
        try:
            super().feed(data)
        except Exception:
            if not self.complete:
                raise
            self.reusable = False

    def _on_message_begin(self) -> None:
        self.reusable = False

    def _on_status(self, text: str) -> None: ...

    def _on_header_field(self, text: str) -> None: ...

    def _on_header_value(self, text: str) -> None: ...

    def _on_headers_complete(self) -> bool:
        return self._is_head

    def _on_body(self, data: bytes) -> None:
        if not self.complete:
            self.body_bytes += len(data)

    def _on_message_complete(self) -> None:
        status = self.get_code()
        if status >= _FIRST_FINAL_STATUS and not self.complete:  # below: an interim answer, the final one follows
            self.complete = True
            self.status = status
            self.reusable = self.should_keep_alive()
