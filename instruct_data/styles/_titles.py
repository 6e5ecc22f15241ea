"""Invented titles. In: a random generator. Out: a title that says nothing of the music."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.styles._chance import one_of

_FIRST = (
    *("Old", "Silver", "Hidden", "Little", "Distant", "Amber", "Quiet", "Northern", "Paper", "Broken", "Open"),
    *("Golden", "Empty", "Winter", "Early", "Blue", "Crooked", "Glass", "Second", "Copper", "Lonely", "Painted"),
)
_SECOND = (
    *("Harbour", "Window", "Orchard", "Lantern", "Bridge", "Garden", "Letter", "Road", "River", "Station"),
    *("Mill", "Mirror", "Island", "Tower", "Field", "Stairway", "Compass", "Market", "Clock", "Meadow", "Gate"),
)
_PLACES = (
    *("Aldermoor", "Brenna", "Calverton", "Dunmere", "Estrella", "Farnholt", "Gannet Road", "Hollin", "Ilmar"),
    *("Jaspers Point", "Kestrel Hill", "Lumen", "Marrow Lane", "Novara", "Orrin", "Port Alba", "Quillan", "Rosedale"),
)


def title(rng: np.random.Generator) -> str:
    """A title of two to five words."""
    first, second, place = one_of(rng, _FIRST), one_of(rng, _SECOND), one_of(rng, _PLACES)
    forms = (f"{first} {second}", f"The {first} {second}", f"{second} of {place}", f"Back to {place}")
    return one_of(rng, (*forms, f"{place} in the Rain", f"The {second} at {place}"))
