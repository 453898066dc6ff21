import { commands, Disposable, type LogOutputChannel, type SecretStorage, window } from 'vscode';
import type { HeatMap } from '../heatmap/heatmap';
import { chooseModel } from '../models/choose';
import { EXPLAIN } from '../protocol';
import { setEndpointKey, setHostKey } from '../repair/key';
import { here } from '../repair/requests';
import type { Server } from '../server/server';
import { showMenu } from '../status/menu';
import { markGenerated } from './generated';
import { goToRiskyLine } from './goToRiskyLine';
import { ignoreHere } from './ignore';
import { copyInstallCommand } from './install';
import type { Report } from './report';
import { Review } from './review';
import { snooze } from './snooze';

/** The commands of the palette. Those of the server itself are registered by the language client. */
export function registerCommands(
  server: Server,
  heatMap: HeatMap,
  report: Report,
  secrets: SecretStorage,
  log: LogOutputChannel,
): Disposable {
  const review = new Review(server);
  const actions: Record<string, (...parameters: never[]) => unknown> = {
    analyseNow: () => analyseNow(server),
    nextRiskyLine: () => goToRiskyLine(true),
    previousRiskyLine: () => goToRiskyLine(false),
    ignoreHere: (where?: 'stored' | 'source') => ignoreHere(server, where),
    markGenerated: () => markGenerated(server, true),
    unmarkGenerated: () => markGenerated(server, false),
    snooze: (minutes?: number) => snooze(server, minutes),
    toggleHeatMap: () => heatMap.toggle(),
    reviewGenerated: () => review.show(),
    showReport: () => report.show(),
    repair: () => onSelection(server, 'riskLsp.repair'),
    repairWithHint: () => onSelection(server, 'riskLsp.repairWithHint'),
    writeBody: () => onSelection(server, 'riskLsp.writeBody'),
    writeBodyWithHint: () => onSelection(server, 'riskLsp.writeBodyWithHint'),
    explain: () => onSelection(server, EXPLAIN),
    setEndpointKey: () => setEndpointKey(secrets),
    setHostKey: async () => {
      if (await setHostKey(secrets)) {
        await server.restart();
      }
    },
    chooseModel: () => chooseModel(server),
    restart: () => server.restart(),
    showMenu: () => showMenu(server),
    showLog: () => log.show(),
    copyInstallCommand: async () => copyInstallCommand(await server.installCommand()),
  };
  return Disposable.from(
    review,
    ...Object.entries(actions).map(([name, action]) =>
      commands.registerCommand(`risk-lsp.${name}`, (...parameters: never[]) =>
        guarded(log, action, parameters),
      ),
    ),
  );
}

async function analyseNow(server: Server): Promise<void> {
  const document = window.activeTextEditor?.document;
  if (document) {
    await server.execute('riskLsp.analyseNow', server.uri(document.uri));
  }
}

/** Have the language client run one of the server's commands on the selection. */
async function onSelection(server: Server, command: string): Promise<void> {
  const where = here(server);
  if (where && server.isRunning) {
    await commands.executeCommand(command, ...where);
  }
}

/** Run an action; what goes wrong is one sentence for the person. */
async function guarded(
  log: LogOutputChannel,
  action: (...parameters: never[]) => unknown,
  parameters: never[],
): Promise<void> {
  try {
    await action(...parameters);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    log.error(message);
    void window.showErrorMessage(`risk-lsp: ${message}`);
  }
}
