"""Predictions of one class among K: macro AUROC, Brier score, accuracy and balanced accuracy of every segment."""

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.metrics.discrimination import auroc
from sim.metrics.segments import segment_mean, segment_sum


def auroc_macro(score: Floats, label: Ints, segment: Ints, segments: int) -> Floats:
    """Mean over the classes that occur in a segment of the AUROC of each against the rest; [R, K], [R] -> [G].

    NaN where fewer than two classes occur, or a score is NaN. A class that a segment lacks has no AUROC there and is
    left out of its mean, so segments with other classes are not quite comparable; where all K occur, it is the macro
    average of Provost and Domingos, 2001, without weights.
    """
    each = np.stack([auroc(score[:, k], label == k, segment, segments) for k in range(score.shape[1])], axis=1)
    held = np.stack([segment_sum(label == k, segment, segments) for k in range(score.shape[1])], axis=1)  # [G, K]
    rows = held.sum(1, keepdims=True)
    counted = (held > 0) & (held < rows)
    # A NaN among the counted ones is a NaN score, and stays.
    return mean_of(each, counted)


def brier_classes(score: Floats, label: Ints, segment: Ints, segments: int) -> Floats:
    """Mean over rows of the squared distances of all K probabilities, added up; in [0, 2]; [R, K], [R] -> [G].

    Brier, Monthly Weather Review 1950, as he wrote it: with two classes twice the one-sided form.
    """
    happened = label[:, None] == np.arange(score.shape[1])
    return segment_mean(((score - happened) ** 2).sum(1), segment, segments)


def right(score: Floats, label: Ints) -> Floats:
    """1.0 where the most probable class is the true one, the first of equals; NaN where a score is; [R]."""
    guess = score.argmax(1) if len(score) else label
    return np.where(np.isnan(score).any(1), np.nan, guess == label)


def accuracy_classes(score: Floats, label: Ints, segment: Ints, segments: int) -> Floats:
    """Share of rows whose most probable class is the true one; [R, K], [R] -> [G]."""
    return segment_mean(right(score, label), segment, segments)


def balanced_accuracy(score: Floats, label: Ints, segment: Ints, segments: int) -> Floats:
    """Mean over the classes that occur in a segment of the share of each that is recognised; [R, K], [R] -> [G]."""
    classes = score.shape[1]
    cell = segment * classes + label
    recall = segment_mean(right(score, label), cell, segments * classes).reshape(segments, classes)
    held = segment_sum(np.ones(len(label)), cell, segments * classes).reshape(segments, classes)
    return mean_of(recall, held > 0)


def mean_of(values: Floats, counted: Bools) -> Floats:
    """Mean over the classes that count in each segment, NaN where none does; [G, K], [G, K] -> [G]."""
    some = counted.sum(1)
    total = np.where(counted, values, 0.0).sum(1)
    mean: Floats = np.divide(total, some, out=np.full(len(some), np.nan), where=some > 0)
    return mean
