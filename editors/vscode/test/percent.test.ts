import { expect, test } from 'vitest';
import { percent } from '../src/percent';

test.each([
  [0, '<1%'],
  [0.004, '<1%'],
  [0.005, '<1%'],
  [0.01, '1%'],
  [0.025, '2%'],
  [0.413, '41%'],
  [0.994, '99%'],
  [0.996, '>99%'],
  [1, '>99%'],
])('%f is shown as %s, as the server shows it', (probability, text) => {
  expect(percent(probability)).toBe(text);
});
