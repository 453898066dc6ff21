-- What specs share. The scripted model finds a line with BUG 63% likely to need an edit.
local M = {}

--- A program with a wrong name, and doctests that tell.
M.FAULTY = [[
def largest(numbers):
    """The largest of some numbers.

    >>> largest([1, 3, 2])
    3
    """
    best = numbers[0]
    for number in numbers:
        if number > BUG:
            best = number
    return best
]]
M.FAULTY_LINE = 9

return M
