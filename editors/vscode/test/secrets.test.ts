import { expect, test } from 'vitest';
import { hidden, withoutSecrets } from '../src/repair/secrets';

const SECRETS = new Set(['sk-KEY', 'a"b\\c']);

test('a secret is left out wherever it stands', () => {
  expect(hidden('Result: {"secret": "sk-KEY"}, sk-KEY', SECRETS)).toBe('Result: {"secret": "***"}, ***');
});

test('a secret is left out as JSON writes it, too', () => {
  expect(hidden(JSON.stringify({ secret: 'a"b\\c' }), SECRETS)).toBe('{"secret":"***"}');
});

test('messages are logged as ever, but for the secrets', () => {
  const written: string[] = [];
  const log = {
    name: 'risk-lsp',
    trace: (text: string) => written.push(text),
    info: (text: string) => written.push(text),
  };
  const discreet = withoutSecrets(log as never, SECRETS);
  discreet.trace('key: sk-KEY');
  discreet.info('started');
  expect(written).toEqual(['key: ***', 'started']);
  expect(discreet.name).toBe('risk-lsp');
});
