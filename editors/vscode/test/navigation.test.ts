import { expect, test } from 'vitest';
import { lineToGoTo } from '../src/commands/navigation';

test.each([
  ['the next one', 3, true, 7],
  ['the first one after the last', 9, true, 2],
  ['the next one from a risky line itself', 2, true, 7],
  ['the previous one', 7, false, 2],
  ['the last one before the first', 2, false, 9],
])('goes to %s', (_, current, forward, line) => {
  expect(lineToGoTo([7, 2, 9], current, forward)).toBe(line);
});

test('goes nowhere when no line stands out', () => {
  expect(lineToGoTo([], 3, true)).toBeUndefined();
});
