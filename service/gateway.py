"""The HTTP side as one WSGI application.

    gunicorn -c service/gunicorn_conf.py 'service.gateway:create_app()'

It never decodes an image and imports neither Paddle nor OpenCV nor models/: it starts at once and
stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from service import access, keys, lists, logs, v2_routes
from service.asking import Asking
from service.body import Limits
from service.client import Client, WorkerClient
from service.errors import ApiError
from service.hooks import install
from service.kinship import PROJECT
from service.metrics import Metrics
from service.pages import SECURITY_HEADERS, Pages
from service.protocol import StatusReply
from service.proxies import TrustedProxies
from service.routes import add_pages, add_service
from service.settings import Settings, load_settings
from service.uploads import Fetch

_ALWAYS = list(SECURITY_HEADERS.items())


class Gateway(Flask):
    """Flask's application without what this one never needs between a request and its answer."""

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """As Flask's; every answer carries SECURITY_HEADERS, which need no check each time."""

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, headers + _ALWAYS, *error)

        return super().wsgi_app(environ, start)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """No view is a coroutine."""
        return func


def create_app(settings: Settings | None = None, client: Client | None = None) -> Flask:
    """The whole gateway.

    Args:
        settings: read from the environment when None.
        client: asks the worker; made for the settings' own when None.

    Raises:
        SettingsError: a setting cannot be used.
    """
    settings = settings or load_settings()
    logs.configure(settings.log_level, settings.log_format, "gateway")
    limits = Limits(
        body_bytes=settings.max_body_bytes,
        image_bytes=settings.max_image_bytes,
        images=settings.max_images,
    )
    client = client or WorkerClient(
        settings.worker,
        keys=keys.for_endpoint(settings.worker, settings.worker_keys),
        on_foreign=lambda: metrics.foreign(),
    )
    metrics = Metrics(lambda: _status_or_none(client))
    app = Gateway(__name__, static_folder=None)
    app.extensions["hyojo-metrics"] = metrics  # for what is refused below the application
    # A redirect of `//classify` would be an answer of its own kind; it is not found instead.
    app.url_map.merge_slashes = False
    install(app, metrics, limits)
    fetch = _fetch(settings, limits)
    ask = Asking(client, metrics, settings.deadline_s)
    spec = add_service(app, client, metrics, limits, ask, fetch, settings.url_input)
    v2_routes.add(app, client, limits, ask)
    pages = Pages(PROJECT / "web")
    add_pages(app, pages, spec, settings.max_images, keyed=bool(settings.api_keys))
    access.install(app, _rules(settings, pages))
    if networks := lists.networks(settings.trusted_proxies):
        app.wsgi_app = TrustedProxies(app.wsgi_app, networks)  # type: ignore[method-assign]
    return app


def _rules(settings: Settings, pages: Pages) -> access.Access:
    return access.Access(
        keys=lists.api_keys(settings.api_keys),
        origins=lists.origins(settings.cors_origins),
        rate_limit=lists.rate_limit(settings.rate_limit),
        files=frozenset(pages.addresses),
    )


def _fetch(settings: Settings, limits: Limits) -> Fetch | None:
    """What fetches images by address; nothing of it is imported where that is switched off."""
    if settings.url_input == "off":
        return None
    from service import addresses, fetching

    fetcher = fetching.Fetcher(
        addresses.policy(http=settings.url_input == "http"),
        limits.image_bytes,
        limits.body_bytes,
        at_once=max(1, settings.gateway_threads // 4),
    )
    return fetching.within(fetcher, settings.deadline_s)


def _status_or_none(client: Client) -> StatusReply | None:
    try:
        return client.status("metrics")
    except ApiError:
        return None
