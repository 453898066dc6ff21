import { expect, test } from 'vitest';
import { lockedDown } from '../src/commands/reportPage';

test('the policy comes first in the head', () => {
  expect(lockedDown('<html><head lang="en"><title>x</title></head></html>')).toMatch(
    /<head lang="en"><meta http-equiv="Content-Security-Policy" content="default-src 'none';[^>]*><title>/,
  );
});

test('a page without a head gets one', () => {
  expect(lockedDown('<p>x</p>')).toMatch(/<head><meta [^>]*><\/head><p>x<\/p>/);
});
