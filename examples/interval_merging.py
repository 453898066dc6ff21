"""Merge overlapping intervals."""

from typing import List


def merge_intervals(intervals: List[List[int]]) -> List[List[int]]:
    """
    Merge all overlapping intervals.

    Intervals that touch each other (e.g. [1, 3] and [3, 5]) are considered
    overlapping and should be merged into one.

    Args:
        intervals: A list of [start, end] pairs in any order.

    Returns:
        A list of non-overlapping intervals, sorted by start.

    Example:
        >>> merge_intervals([[1, 3], [2, 6], [8, 10], [10, 12]])
        [[1, 6], [8, 12]]
    """
    if not intervals:
        return []

    # Sort intervals by their start value
    intervals = sorted(intervals, key=lambda interval: interval[0])

    merged = [list(intervals[0])]
    for start, end in intervals[1:]:
        # If the current interval overlaps with the last one, merge them
        if start < merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])

    return merged


if __name__ == "__main__":
    print(merge_intervals([[1, 3], [2, 6], [8, 10], [15, 18]]))
