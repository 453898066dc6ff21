"""Convert integers to Roman numerals and back."""

NUMERALS = [
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
]


def to_roman(number: int) -> str:
    """Convert an integer between 1 and 3999 to a Roman numeral."""
    if not 1 <= number <= 3999:
        raise ValueError("number must be between 1 and 3999")

    result = []
    for value, symbol in NUMERALS:
        count, number = divmod(number, value)
        result.append(symbol * count)
    return "".join(result)


def from_roman(numeral: str) -> int:
    """Convert a Roman numeral to an integer."""
    values = {symbol: value for value, symbol in NUMERALS if len(symbol) == 1}

    total = 0
    previous = 0
    for symbol in reversed(numeral.upper()):
        value = values[symbol]
        # A smaller value before a larger one is subtracted
        if value < previous:
            total -= value
        else:
            total += value
            previous = value
    return total
