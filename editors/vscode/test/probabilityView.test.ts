import { expect, test } from 'vitest';
import { probabilityView } from '../src/status/probabilityView';

test('a selection has its probability', () => {
  expect(probabilityView(false, '63%', null).text).toBe('Selection 63%');
});

test('a blank line has none', () => {
  expect(probabilityView(true, null, null).text).toBe('Line –');
});

test('a number that may not hold is marked, and the reason is given', () => {
  const { text, tooltip } = probabilityView(true, '63%', 'this document is in Lua');
  expect(text).toBe('Line 63% $(question)');
  expect(tooltip).toBe('Probability that the line needs an edit\nIt may not hold: this document is in Lua.');
});

test('a rank is told as one, with the reason why it is no percentage', () => {
  const { text, tooltip } = probabilityView(true, '1st', 'this was not measured');
  expect(text).toBe('Line 1st $(question)');
  expect(tooltip).toBe('Rank among the lines to read\nNo percentage: this was not measured.');
});
