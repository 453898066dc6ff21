import type { State, Status } from '../protocol';

/** What the status item shows. */
export interface View {
  text: string;
  tooltip: string;
  isAlarming: boolean;
}

const ICONS: Record<State, string> = {
  starting: '$(loading~spin)',
  ready: '$(pulse)',
  analysing: '$(sync~spin)',
  paused: '$(debug-pause)',
  failed: '$(error)',
  off: '$(circle-slash)',
};

/** `now` is in milliseconds since the epoch, as are no other times here: the server counts seconds. */
export function viewOf(status: Status, now: number): View {
  const minutes = minutesLeft(status, now);
  const bundle = status.bundle === null ? '' : `\nModel: ${status.bundle}`;
  return {
    text: `${ICONS[status.state]} Risk${minutes === null ? '' : ` ${minutes} min`}`,
    tooltip: `risk-lsp: ${status.message}${bundle}\nClick for details and actions.`,
    isAlarming: status.state === 'failed',
  };
}

/** Minutes until a snooze ends, rounded, at least one; null when there is none. */
export function minutesLeft(status: Status, now: number): number | null {
  if (status.state !== 'paused' || status.until === null) {
    return null;
  }
  return Math.max(1, Math.round((1000 * status.until - now) / 60_000));
}
