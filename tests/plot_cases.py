"""Tables of risks as hard to draw as they come, and what lies where on a picture of them."""

import numpy as np
import pandas as pd

TWELVE = (
    *("ce_sgl", "ce_ptl", "sel_ptl", "ce_ful", "laplace", "top_k(5)", "rounded(0.1)"),
    *("with_prior(sel_ptl, prior.parquet)", "add_c(0.5)", "grad_ful(cycle, 2)", "good_turing"),
    "noisy(0.1)",
)


def table(students, sizes, *, width=0.1, zeros=(), infinite=(), loss="tv", **columns):
    """Return made-up risks that fall in n, 0 or infinite at some (student, n)."""
    rows = []
    for place, student in enumerate(students):
        for n in sizes:
            mean = min(1.0, 0.8 * float(n) ** -(0.3 + 0.05 * place))
            low, high = mean * (1 - width), min(1.0, mean * (1 + width))
            if (student, n) in zeros:
                mean, low, high = 0.0, 0.0, 0.003
            if (student, n) in infinite:
                mean = low = high = np.inf
            rows.append(
                {"teacher": "t", "student": student, "access": "hard", "loss": loss, "n": n}
                | {"mean": mean, "std_error": width * mean / 2, "low": low, "high": high}
                | {"inputs": 100, "labels": 25, "repeats": 1000, **columns}
            )
    return pd.DataFrame(rows)


LONG = tuple(10**k for k in range(10))
CASES = {
    "one point": table(["ce_sgl"], [100]),
    "one zero": table(["ce_sgl"], [1], zeros=[("ce_sgl", 1)]),
    "four": table(TWELVE[:4], [100, 316, 1000], width=0.5),
    "twelve": table(TWELVE, LONG, zeros=[(one, 10**9) for one in TWELVE[3:]]),
    "infinite": table(TWELVE[:3], [10, 100], infinite=[("ce_sgl", 10)], loss="kl"),
    "close": table(TWELVE[:2], [1000, 1500, 2000]),
}


def boxes(axes):
    """Return the corners, in pixels, of all that shows data: markers, lines, bands and bars."""
    found = []
    for line in axes.lines:
        pad = 0.5 * line.get_markersize() * axes.figure.dpi / 72.0
        found.append((seen(axes, line, line.get_xydata()), pad))
    for shape in axes.collections:
        found += [(seen(axes, shape, path.vertices), 0.0) for path in shape.get_paths()]
    return found


def seen(axes, artist, corners):
    """Return corners in pixels; what is cut off at the axes lies there."""
    points = artist.get_transform().transform(corners)
    points = points[np.isfinite(points).all(axis=1)]
    if artist.get_clip_on():
        room = axes.get_window_extent()
        points = np.clip(points, (room.x0, room.y0), (room.x1, room.y1))
    return points


def covered(axes, legend):
    """Return how many corners of data, or middles between them, lie below a legend."""
    axes.figure.draw_without_rendering()
    box, count = legend.get_window_extent(), 0
    for points, pad in boxes(axes):
        middle = 0.5 * (points[1:] + points[:-1])
        for x, y in np.concatenate([points, middle]):
            across = box.x0 - pad < x < box.x1 + pad
            count += bool(across and box.y0 - pad < y < box.y1 + pad)
    return count


def legends(axes):
    """Return all legends of a figure."""
    own = [axes.get_legend()] if axes.get_legend() else []
    return [*own, *axes.figure.legends]
