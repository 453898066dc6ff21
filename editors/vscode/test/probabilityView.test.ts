import { expect, test } from 'vitest';
import { probabilityView } from '../src/status/probabilityView';

test('a selection has its probability', () => {
  expect(probabilityView(false, 0.63, null).text).toBe('Selection 63%');
});

test('a blank line has none', () => {
  expect(probabilityView(true, null, null).text).toBe('Line –');
});

test('a number that may not hold is marked, and the reason is given', () => {
  const { text, tooltip } = probabilityView(true, 0.63, 'this document is in Lua');
  expect(text).toBe('Line 63% $(question)');
  expect(tooltip).toContain('this document is in Lua');
});
