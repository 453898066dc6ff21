import { expect, test } from 'vitest';
import { QuietPeriod } from '../src/status/quietPeriod';

test('every edit begins it anew, and it ends by itself', () => {
  const quiet = new QuietPeriod();
  expect(quiet.left('a', 1_000, 700)).toBe(0);
  quiet.begins('a', 1_000);
  quiet.begins('a', 1_200);
  expect([1_200, 1_500, 1_900, 5_000].map((now) => quiet.left('a', now, 700))).toEqual([700, 400, 0, 0]);
});

test('it is of one document', () => {
  const quiet = new QuietPeriod();
  quiet.begins('a', 1_000);
  expect(quiet.left('b', 1_000, 700)).toBe(0);
});

test('it is over once the newest text was analysed', () => {
  const quiet = new QuietPeriod();
  quiet.begins('a', 1_000);
  quiet.ends();
  expect(quiet.left('a', 1_000, 700)).toBe(0);
});
