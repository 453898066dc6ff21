import { expect, test } from 'vitest';
import { bar } from '../src/heatmap/bars';
import { linesByStep } from '../src/heatmap/steps';

test('lines are sorted into their steps, and step 0 is not shown', () => {
  expect(linesByStep([0, 1, 4, 2, 4], 5)).toEqual([[1], [3], [], [2, 4]]);
});

test('lines that the document no longer has are left out', () => {
  expect(linesByStep([0, 1, 4], 2)).toEqual([[1], [], [], []]);
});

test('a step that this version does not know is shown as the strongest', () => {
  expect(linesByStep([5], 1)[3]).toEqual([0]);
});

test('bars differ in height, not only in colour', () => {
  const heights = [1, 2, 3, 4].map((step) =>
    Number(/ height="([\d.]+)" rx/.exec(decodeURIComponent(bar(step, 'red')))?.[1]),
  );
  expect(heights).toEqual([3.5, 7, 10.5, 14]);
});
