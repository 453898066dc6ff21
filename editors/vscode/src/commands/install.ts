import { commands, env, window } from 'vscode';
import type { ServerNotFound } from '../server/locate';

/** Say once what is missing and how to get it. */
export async function explainMissing(missing: ServerNotFound): Promise<void> {
  const copy = 'Copy Command';
  const restart = 'Start Server';
  const settings = 'Settings';
  const chosen = await window.showWarningMessage(`risk-lsp: ${missing.message}`, copy, restart, settings);
  if (chosen === copy) {
    await copyInstallCommand(missing.install);
  } else if (chosen === restart) {
    await commands.executeCommand('risk-lsp.restart');
  } else if (chosen === settings) {
    await commands.executeCommand('workbench.action.openSettings', 'riskLsp.server');
  }
}

export async function copyInstallCommand(command: string): Promise<void> {
  await env.clipboard.writeText(command);
  window.setStatusBarMessage(`Copied: ${command}`, 3000);
}
