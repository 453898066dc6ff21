import { expect, test } from 'vitest';
import type { Status } from '../src/protocol';
import { minutesLeft, viewOf } from '../src/status/view';

const READY: Status = { state: 'ready', message: 'Ready.', bundle: 'default', until: null };
const PAUSED: Status = { ...READY, state: 'paused', until: 1_000 };

test('a server that failed stands out', () => {
  expect(viewOf({ ...READY, state: 'failed' }, 0).isAlarming).toBe(true);
  expect(viewOf(READY, 0).isAlarming).toBe(false);
});

test('the tooltip names the model', () => {
  expect(viewOf(READY, 0).tooltip).toContain('Model: default');
});

test('a snooze shows the minutes that are left', () => {
  expect(viewOf(PAUSED, 1000 * (1_000 - 90)).text).toBe('$(debug-pause) Risk 2 min');
});

test('the last minute of a snooze lasts until its end', () => {
  expect(minutesLeft(PAUSED, 1000 * 1_000 + 5)).toBe(1);
});
