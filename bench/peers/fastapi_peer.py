"""A FastAPI application with the model in its process: `uvicorn bench.peers.fastapi_peer:app`.

Settings: the model is loaded in the lifespan, as FastAPI's documentation has it; the network runs
in a thread so that the event loop stays free, behind a limiter of one, which is the lock (and,
unlike a lock that forty threads wait for, hands the work to the same warm thread again and again);
uvicorn with uvloop and httptools (`uvicorn[standard]`), access log off. Two peers run it: one
process, and `--workers 2`, one a core.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request

from bench.peers.classifier import Classifier


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the model before the first request."""
    app.state.classifier = Classifier()
    app.state.one_at_a_time = CapacityLimiter(1)
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/classify")
async def classify(request: Request) -> dict[str, Any]:
    """Classify the picture that is the body."""
    jpeg = await request.body()
    state = request.app.state
    return await to_thread.run_sync(state.classifier, jpeg, limiter=state.one_at_a_time)
