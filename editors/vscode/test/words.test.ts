import { expect, test } from 'vitest';
import type { WrittenRisk } from '../src/protocol';
import { wordsFor } from '../src/writing/words';

function risk(words: string, ...steps: number[]): WrittenRisk {
  return { words, lines: steps.map((step, line) => ({ start: { line }, step })) };
}

test('one text has its own words, and the step of its riskiest line', () => {
  expect(wordsFor([risk('1 line worth a look, 38%', 0, 3, 1)])).toEqual({
    text: '1 line worth a look, 38%',
    step: 3,
  });
});

test('several texts are told apart by their numbers; the first is the one that is shown', () => {
  expect(wordsFor([risk('no line worth a look, 12%', 1), risk('1 line worth a look, 38%', 2)])).toEqual({
    text: '1: no line worth a look, 12% · 2: 1 line worth a look, 38%',
    step: 1,
  });
});

test('of nothing nothing is said', () => {
  expect(wordsFor([])).toBeUndefined();
});
