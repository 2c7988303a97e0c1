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
    size = np.stack([segment_sum(label == k, segment, segments) for k in range(score.shape[1])], axis=1)  # [G, K]
    counted = (size > 0) & (size < size.sum(1, keepdims=True))
    # Among the counted classes only a NaN score gives NaN, and it stays.
    return mean_over_classes(each, counted)


def brier_classes(score: Floats, label: Ints, segment: Ints, segments: int) -> Floats:
    """Mean over rows of the squared distances of all K probabilities, added up; in [0, 2]; [R, K], [R] -> [G].

    Brier, Monthly Weather Review 1950, as he wrote it: with two classes twice the one-sided form.
    """
    outcome = label[:, None] == np.arange(score.shape[1])
    return segment_mean(((score - outcome) ** 2).sum(1), segment, segments)


def is_correct(score: Floats, label: Ints) -> Floats:
    """1.0 where the most probable class (the first of equals) is the true one, else 0.0; [R, K], [R] -> [R].

    NaN where a score is.
    """
    guess = score.argmax(1) if len(score) else label
    return np.where(np.isnan(score).any(1), np.nan, guess == label)


def accuracy_classes(score: Floats, label: Ints, segment: Ints, segments: int) -> Floats:
    """Share of rows whose most probable class is the true one; [R, K], [R] -> [G].

    NaN where a segment has no rows or a NaN score.
    """
    return segment_mean(is_correct(score, label), segment, segments)


def balanced_accuracy(score: Floats, label: Ints, segment: Ints, segments: int) -> Floats:
    """Mean over the classes that occur in a segment of their recall; [R, K], [R] -> [G].

    NaN where a segment has no rows or a NaN score.
    """
    classes = score.shape[1]
    cell = segment * classes + label
    recall = segment_mean(is_correct(score, label), cell, segments * classes).reshape(segments, classes)
    size = segment_sum(np.ones(len(label)), cell, segments * classes).reshape(segments, classes)
    return mean_over_classes(recall, size > 0)


def mean_over_classes(values: Floats, counted: Bools) -> Floats:
    """Mean over the classes that are counted in each segment, NaN where none is; [G, K], [G, K] -> [G]."""
    some = counted.sum(1)
    total = np.where(counted, values, 0.0).sum(1)
    mean: Floats = np.divide(total, some, out=np.full(len(some), np.nan), where=some > 0)
    return mean
