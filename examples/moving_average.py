"""Simple moving average of a sequence of numbers."""

from collections import deque
from typing import Iterable, Iterator


def moving_average(values: Iterable[float], window: int) -> Iterator[float]:
    """
    Yield the average of each run of `window` consecutive values.

    Args:
        values: The numbers to average.
        window: The number of values in each average. Must be positive.

    Yields:
        One average per full window, in order.

    Raises:
        ValueError: If `window` is not positive.
    """
    if window <= 0:
        raise ValueError("window must be positive")

    recent = deque(maxlen=window)
    total = 0.0
    for value in values:
        if len(recent) == window:
            # The oldest value is about to be dropped by the deque
            total -= recent[0]
        recent.append(value)
        total += value
        if len(recent) == window:
            yield total / window


if __name__ == "__main__":
    data = [1, 2, 3, 4, 5, 6]
    print(list(moving_average(data, 3)))
