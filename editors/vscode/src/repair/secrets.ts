import type { LogOutputChannel } from 'vscode';

/**
 * The same log for the messages between editor and server, whose contents the language client writes down on demand; secrets
 * among them are left out.
 */
export function withoutSecrets(log: LogOutputChannel, secrets: ReadonlySet<string>): LogOutputChannel {
  const trace = (message: string, ...parameters: unknown[]) =>
    log.trace(hidden(message, secrets), ...parameters);
  return Object.create(log, { trace: { value: trace } });
}

/** A text in which secrets, plain or written as JSON, are stars. */
export function hidden(text: string, secrets: ReadonlySet<string>): string {
  const spellings = [...secrets].flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
  return spellings.reduce((shown, spelling) => shown.replaceAll(spelling, '***'), text);
}
