"""LitServe and its `LitAPI`, as its documentation begins: `… bench.peers.litserve_peer PORT`.

Settings: accelerator="cpu", two workers (`workers_per_device`, one a core), as many API servers as
workers (its default), no batching (its default: a picture's decoding and its faces, most of the
work, gain nothing from company), access log off. A raw body is declared the way FastAPI does, on
which LitServe stands.
"""

import sys
from typing import Annotated, Any

import litserve
from fastapi import Body

from bench.peers import CORES


class EmotionAPI(litserve.LitAPI):
    """One a worker process."""

    def setup(self, device: str) -> None:
        """Load the model: in the worker, so that Paddle is never forked."""
        from bench.peers.classifier import Classifier

        self.classify = Classifier()

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/jpeg")]) -> bytes:
        """The body is the picture."""
        return request

    def predict(self, x: bytes) -> dict[str, Any]:
        """Classify it."""
        return self.classify(x)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """The answer is JSON already."""
        return output


if __name__ == "__main__":
    api = EmotionAPI(api_path="/classify")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=CORES)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
