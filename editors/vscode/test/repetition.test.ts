import { expect, test } from 'vitest';
import { isAtDots, withoutNumber } from '../src/hover/repetition';

const REST = '`return`\n\nOf lines scored 60-65%, 59% were edited, n = 612.\n\nDocument: 63%';

test.each(['63%', '\\>99%'])('below a hint that says %s the hover does not', (number) => {
  const said = `Most of the **${number}** chance of an edit comes from ${REST}`;
  expect(withoutNumber(said)).toBe(`Most of it comes from ${REST}`);
});

test('below a hint that says 1st of 40 the hover does not', () => {
  expect(withoutNumber(`Most of what makes it the **1st** comes from ${REST}`)).toBe(
    `Most of it comes from ${REST}`,
  );
});

test.each(['**22%** likely to need an edit, most of it from `x`', 'Document: 63%'])(
  'what does not repeat a hint stays as it is: %s',
  (said) => {
    expect(withoutNumber(said)).toBe(said);
  },
);

test('the message of a hint is shown at its dots and one column beside them', () => {
  const shown = [...Array(12).keys()].filter((character) => isAtDots(4, character));
  expect(shown).toEqual([3, 4, 5, 6]);
});
