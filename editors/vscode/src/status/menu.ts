import { commands, type QuickPickItem, window } from 'vscode';
import { config } from '../config';
import type { Server } from '../server/server';

interface Action extends QuickPickItem {
  run?: () => Thenable<unknown>;
}

/** What the server is doing, and what can be done about it. */
export async function showMenu(server: Server): Promise<void> {
  const { message, bundle } = server.status;
  const placeHolder = bundle === null ? message : `${message} Model: ${bundle}.`;
  const chosen = await window.showQuickPick(await actions(server), { title: 'risk-lsp', placeHolder });
  await chosen?.run?.();
}

async function actions(server: Server): Promise<Action[]> {
  const restart = action('$(debug-restart) Restart server', 'risk-lsp.restart');
  const log = action('$(output) Show log', 'risk-lsp.showLog');
  const settings = {
    label: '$(gear) Settings',
    run: () => commands.executeCommand('workbench.action.openSettings', 'riskLsp'),
  };
  if (server.isMissing) {
    const install = action('$(copy) Copy the command that installs it', 'risk-lsp.copyInstallCommand');
    return [{ ...install, description: await server.installCommand() }, restart, settings, log];
  }
  if (!server.isRunning) {
    return [restart, log, settings];
  }
  const snooze =
    server.status.state === 'paused'
      ? action('$(debug-continue) End the snooze', 'risk-lsp.snooze', 0)
      : action('$(debug-pause) Snooze...', 'risk-lsp.snooze');
  return [
    action('$(play) Analyse now', 'risk-lsp.analyseNow'),
    action('$(arrow-down) Go to next risky line', 'risk-lsp.nextRiskyLine'),
    action('$(graph) Show report', 'risk-lsp.showReport'),
    action(`$(flame) Turn the heat map ${config.heatMap() ? 'off' : 'on'}`, 'risk-lsp.toggleHeatMap'),
    snooze,
    action('$(server) Choose a model...', 'risk-lsp.chooseModel'),
    settings,
    log,
    restart,
  ];
}

function action(label: string, command: string, ...parameters: unknown[]): Action {
  return { label, run: () => commands.executeCommand(command, ...parameters) };
}
