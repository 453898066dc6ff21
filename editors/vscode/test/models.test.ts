import { expect, test } from 'vitest';
import { itemsOf } from '../src/models/items';
import type { ModelOffer } from '../src/protocol';

const BUILT_IN: ModelOffer = {
  name: 'built-in',
  state: 'built-in',
  size: 10_000_000,
  in_use: true,
  licence: null,
  source: null,
  path: '/bundles/default',
  bundle: 'built-in',
  tokens_per_second: null,
};
const FETCHABLE: ModelOffer = {
  ...BUILT_IN,
  name: 'qwen2.5-coder-0.5b',
  state: 'to fetch',
  size: 491_400_064,
  in_use: false,
  licence: 'Apache-2.0',
  source: 'huggingface.co/Qwen/Qwen2.5-Coder-0.5B',
  bundle: 'precise',
};

function items(...models: ModelOffer[]) {
  return itemsOf({ models, chosen: '/bundles/default', setting: null });
}

test('a model to fetch names its size, licence, source and what reads it', () => {
  const [item] = items(FETCHABLE);
  expect(item?.label).toBe('$(cloud-download) qwen2.5-coder-0.5b');
  expect(item?.description).toBe('491 MB, Apache-2.0');
  expect(item?.detail).toBe(
    'to fetch from huggingface.co/Qwen/Qwen2.5-Coder-0.5B; read by the bundle precise',
  );
});

test('the one in use is ticked, and no other', () => {
  const labels = items(BUILT_IN, FETCHABLE).map(({ label }) => label.startsWith('$(check)'));
  expect(labels).toEqual([true, false]);
});

test('what no bundle reads says so and comes last', () => {
  const found = items({ ...FETCHABLE, name: 'unread', bundle: null }, BUILT_IN);
  expect(found.map(({ offer }) => offer.name)).toEqual(['built-in', 'unread']);
  expect(found[1]?.detail).toContain('no bundle reads it yet');
});

test('a measured speed is shown', () => {
  const [item] = items({ ...FETCHABLE, state: 'here', tokens_per_second: 431.6 });
  expect(item?.detail).toBe('on this machine; read by the bundle precise; 432 tokens/s');
});

test('a model whose file is gone says where it was', () => {
  const [item] = items({ ...FETCHABLE, state: 'gone', path: '/models/old.gguf' });
  expect(item?.detail).toContain('no longer at /models/old.gguf');
});
