"""The package `fer` behind Flask: `gunicorn 'bench.peers.fer_peer:create_app()'`.

Its documented path and nothing else: `FER()`, which finds faces with OpenCV's Haar cascade and
classifies them with the network in the package (TensorFlow Lite, its default), then
`detect_emotions` on what `cv2` decoded; the first face answers, as in its `top_emotion`. Settings:
two sync workers, one a core, and one thread each for OpenCV. (The class is imported from where it
is: this release's package no longer re-exports it.)
"""

import os

import cv2
import numpy as np
from fer.fer import FER
from flask import Flask, Response, jsonify, request


def create_app() -> Flask:
    """One a worker process."""
    app = Flask(__name__)
    cv2.setNumThreads(1)  # several processes share the cores
    detector = FER()

    @app.post("/classify")
    def classify() -> Response:
        image = cv2.imdecode(np.frombuffer(request.get_data(), np.uint8), cv2.IMREAD_COLOR)
        faces = detector.detect_emotions(image)
        shares = faces[0]["emotions"] if faces else {}
        label = max(shares, key=shares.get) if shares else None
        return jsonify(label=label, probabilities=shares, process=os.getpid())

    return app
