"""Plain accompaniments for every meter, as `_figures` reads them. In: nothing. Out: tables."""

from __future__ import annotations

STRUMS: dict[str, tuple[str, ...]] = {
    "2/4": ("xoxo", ".x.x", "x.xo"),
    "3/4": (".xx", "x.ox.o", "xoxoxo"),
    "4/4": (".x.x", "x.xo.oxo", "x.o.x.oo"),
    "6/8": ("x.ox.o", "..x..x", ".xx.xx"),
    "9/8": ("x.ox.ox.o", ".xx.xx.xx"),
    "12/8": ("x.ox.ox.ox.o", ".xx.xx.xx.xx"),
}
"""By meter: rhythms of chords, see `_figures.chords`."""
BASSES: dict[str, str] = {
    "2/4": "15",
    "3/4": "1..",
    "4/4": "1.5.",
    "6/8": "1..5..",
    "9/8": "1..5..5..",
    "12/8": "1..5..1..5..",
}
"""By meter: bass lines, see `_figures.bass`."""
ORDERS: dict[str, tuple[str, ...]] = {
    "2/4": ("0212", "02120212"),
    "3/4": ("0.2121", "012321"),
    "4/4": ("02120212", "01232123", "0.2.1.2."),
    "6/8": ("012321", "021212"),
    "9/8": ("012012012", "021021021"),
    "12/8": ("012321012321", "012012012012"),
}
"""By meter: orders of broken chords, see `_figures.broken`."""
