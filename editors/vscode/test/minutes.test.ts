import { expect, test } from 'vitest';
import { minutesOf } from '../src/commands/minutes';

test.each([
  ['20', 20],
  [' 1.5 ', 1.5],
  ['0', undefined],
  ['-3', undefined],
  ['soon', undefined],
  ['', undefined],
  ['Infinity', undefined],
])('%j minutes are %s', (text, minutes) => {
  expect(minutesOf(text)).toBe(minutes);
});
