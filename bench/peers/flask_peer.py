"""Flask with the model in each worker: `gunicorn 'bench.peers.flask_peer:create_app()'`.

Settings: two sync workers, one a core, the usual way for work that fills a core. Each loads the
model when it starts; nothing is preloaded, since Paddle does not live through a fork. gunicorn's
sync workers close the connection after each answer.
"""

from flask import Flask, Response, jsonify, request

from bench.peers.classifier import Classifier


def create_app() -> Flask:
    """One a worker process."""
    app = Flask(__name__)
    classifier = Classifier()

    @app.post("/classify")
    def classify() -> Response:
        return jsonify(classifier(request.get_data()))

    return app
