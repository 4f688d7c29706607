"""Pools of predictors for models, by the settings."""

from collections.abc import Callable

from service.catalog import Catalog, Guest
from service.footprint import expected_mb
from service.nursery import Nursery
from service.pool import Pool
from service.settings import Settings
from service.shelf import Shelf


def for_serving(models: Catalog, settings: Settings, shelf: Shelf) -> Pool:
    """Predictors that hold all models that are held all the time."""
    return Pool(
        models.folders,
        settings.predictors,
        settings.max_pixels,
        settings.predictor_timeout_s,
        settings.predictor_stuck_s,
        settings.predictor_memory_mb,
        inherit=shelf.files(models.folders.values()),
        source=settings.params,
    )


def for_guest(name: str, guest: Guest, settings: Settings, nursery: Callable[[], Nursery]) -> Pool:
    """One predictor for a model that was asked for; for pictures it has what the others have."""
    return Pool(
        {name: guest.folder},
        1,
        settings.max_pixels,
        settings.predictor_timeout_s,
        settings.predictor_stuck_s,
        settings.predictor_memory_mb,
        source=guest.source,
        beside=True,
        largest_batch=guest.largest_batch,
        lodging=nursery,
    )


def for_files(models: Catalog, settings: Settings, shelf: Shelf | None = None) -> Pool:
    """Predictors that hold the models, one or more, that are asked about files.

    Args:
        models: what they hold.
        settings: how many they are, and their limits.
        shelf: that the models were read with, if with one.
    """
    guests = models.guests.values()
    return Pool(
        {**models.folders, **{name: guest.folder for name, guest in models.guests.items()}},
        size_for(models, settings),
        settings.max_pixels,
        settings.predictor_timeout_s,
        settings.predictor_stuck_s,
        settings.predictor_memory_mb,
        inherit=shelf.files(models.folders.values()) if shelf else (),
        source=settings.params if shelf else None,
        beside=bool(guests),
        largest_batch=min((guest.largest_batch for guest in guests), default=8),
    )


def size_for(models: Catalog, settings: Settings) -> int:
    """How many predictors of these models one machine is to have.

    Of large models there are no more than HYOJO_MODEL_MEMORY has room for, and one in any case.
    """
    guests = models.guests.values()
    if not guests:
        return settings.predictors
    takes_mb = sum(expected_mb(guest.parameters_bytes) for guest in guests)
    return max(1, min(settings.predictors, int(settings.model_memory / takes_mb)))
