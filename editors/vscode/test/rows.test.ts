import { expect, test } from 'vitest';
import { rowsOf } from '../src/writing/rows';

test('each line has the step of what is known of it', () => {
  const lines = [{ start: { line: 1 }, step: 3 }];
  expect(rowsOf('\n    a = 1\n\n    return a', lines, 4)).toEqual([
    { text: '    a = 1', step: 3 },
    { text: '', step: 0 },
    { text: '    return a', step: 0 },
  ]);
});

test('a tab is as wide as the editor draws it', () => {
  expect(rowsOf('\n\tpass', [], 2)).toEqual([{ text: '  pass', step: 0 }]);
});
