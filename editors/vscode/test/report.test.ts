import { expect, test } from 'vitest';
import { reportPage } from '../src/commands/reportPage';

const POLICIES = /<meta http-equiv="Content-Security-Policy" content="([^"]*)">/g;

test('the policy comes first in the head, then the colours of the editor', () => {
  expect(reportPage('<html><head lang="en"><title>x</title></head></html>')).toMatch(
    /<head lang="en"><meta http-equiv="Content-Security-Policy" content="default-src 'none';[^>]*><style>[^<]*--vscode-editor-background[^<]*<\/style><title>/,
  );
});

test("the page's own policy, which would admit none but its own style, gives way", () => {
  const own = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-abc='">`;
  const found = [...reportPage(`<html><head>${own}</head></html>`).matchAll(POLICIES)];
  expect(found.map(([, policy]) => policy)).toEqual([expect.stringContaining("'unsafe-inline'")]);
});

test('a page without a head gets one', () => {
  expect(reportPage('<p>x</p>')).toMatch(/<head><meta [^>]*><style>[^<]*<\/style><\/head><p>x<\/p>/);
});
