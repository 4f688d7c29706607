"""Answer with trained models: as a warm worker, or for files and folders at once.

    $ python infer.py                       # the worker that the gateway asks; stays until Ctrl-C
    $ python infer.py photo.jpg holiday/    # classify files and folders, then end
    $ python infer.py --json --top 3 holiday/ > answers.jsonl
    $ python infer.py photo.jpg --explain seen/   # pictures of which part of the face decided
    $ python infer.py --video talk.mp4 --out annotated.mp4   # faces tracked, labels held steady
    $ python infer.py --ray millions/ --out results/   # into Parquet; goes on where it was stopped

The worker is set up by environment variables (`python -m service.settings` lists them). Exit
status: 0 all well, 1 some images or frames failed, 2 wrong use.
"""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import zmq

from models.errors import HyojoError
from service import catalog, hiring, keys, logs, names, scratch
from service.crew import Crew
from service.crews import Crews
from service.endpoint import EndpointError, bind
from service.errors import ApiError, SettingsError
from service.guests import Guests
from service.hangup import on_hangup
from service.infer_options import parser
from service.limits import no_core_dumps
from service.nursery import Nursery
from service.pool import Pool
from service.renewal import Renewal
from service.scratch import ScratchError
from service.settings import Settings, load_settings
from service.shelf import Shelf
from service.worker import Worker


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser(__doc__ or "").parse_args(argv)
    try:
        settings = load_settings(**_overrides(options))
        if not _at_once(options):
            return serve(settings)
        from service import at_once  # what looks at pixels: the warm worker never does

        return at_once.answer(options, settings)
    except (HyojoError, SettingsError, EndpointError, ScratchError, ApiError) as error:
        print(f"infer.py: {error}", file=sys.stderr)
        return 2


def serve(settings: Settings) -> int:
    """Be the warm worker until SIGTERM or Ctrl-C; SIGHUP reads the models again."""
    logs.configure(settings.log_level, settings.log_format, "worker")
    no_core_dumps()
    with scratch.make("models", scratch.places()) as folder:
        return _serve(settings, Shelf(folder.path))


def _serve(settings: Settings, shelf: Shelf) -> int:
    """The worker with its bundles on a shelf."""

    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    poller = zmq.Poller()

    def read() -> catalog.Catalog:
        return catalog.read(settings.params, settings.model_names, settings.model, shelf)

    def hire(models: catalog.Catalog) -> Pool:
        return hiring.for_serving(models, settings, shelf)

    def invite(name: str, guest: catalog.Guest, nursery: Callable[[], Nursery]) -> Pool:
        return hiring.for_guest(name, guest, settings, nursery)

    # Reading takes a while: who asks for another meanwhile, or for the end, is heard.
    renewal = Renewal(read, hire, shelf)
    worker: Worker | None = None
    ending = False

    def end(*_: object) -> None:
        nonlocal ending
        ending = True
        if worker is not None:
            worker.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    on_hangup(reload=renewal.ask, end=end)
    models = read()
    for info in models.models.values():
        if info.error:
            logs.say(f"infer.py: {info.error}", wrong=True)
    endpoint = bind(
        context, settings.worker, keys.for_endpoint(settings.worker, settings.worker_keys)
    )
    guests = Guests(settings.model_memory, invite, poller)
    crews = Crews(Crew(models, hire(models)), renewal, guests, poller)
    worker = Worker(settings, endpoint, crews)
    if ending:
        worker.stop()
    try:
        worker.run()
    finally:
        crews.close()
        endpoint.close()
        context.term()
    return 0


def _at_once(options: argparse.Namespace) -> bool:
    """Whether something is to be answered, and that is all."""
    ray = options.ray or options.ray_address or options.part_size
    return bool(options.paths or options.video or options.out or options.explain or ray)


def _overrides(options: argparse.Namespace) -> dict[str, object]:
    """Options that set a setting for this run."""
    overrides: dict[str, object] = {}
    if options.processes is not None:
        overrides["predictors"] = options.processes
    if options.model is not None:
        folder = Path(options.model)
        by_folder = len(folder.parts) > 1 and not names.is_average(options.model)
        overrides["model"] = folder.name if by_folder else options.model
        if by_folder:
            overrides["params"] = folder.parent
    return overrides


if __name__ == "__main__":
    sys.exit(main())
