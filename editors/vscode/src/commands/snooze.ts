import { window } from 'vscode';
import type { Server } from '../server/server';
import { minutesOf } from './minutes';

const CHOICES = [15, 30, 60, 240];

/** Show nothing for some minutes, asked for where a key binding does not say them; 0 ends a snooze. */
export async function snooze(server: Server, minutes?: number): Promise<void> {
  const chosen = minutes ?? (await choose());
  if (chosen !== undefined) {
    await server.execute('riskLsp.snooze', chosen);
  }
}

async function choose(): Promise<number | undefined> {
  const choices = CHOICES.map((minutes) => ({
    label: minutes < 60 ? `${minutes} minutes` : minutes === 60 ? '1 hour' : `${minutes / 60} hours`,
    minutes,
  }));
  const other = { label: 'Other...', minutes: undefined };
  const chosen = await window.showQuickPick([...choices, other], { placeHolder: 'Show no risks for' });
  return chosen === other ? ask() : chosen?.minutes;
}

async function ask(): Promise<number | undefined> {
  const text = await window.showInputBox({
    prompt: 'Minutes to show no risks for',
    validateInput: (value) =>
      minutesOf(value) === undefined ? 'A number of minutes, more than 0' : undefined,
  });
  return text === undefined ? undefined : minutesOf(text);
}
