import {
  type ConfigurationChangeEvent,
  commands,
  type ExtensionContext,
  languages,
  window,
  workspace,
} from 'vscode';
import { explainMissing } from './commands/install';
import { registerCommands } from './commands/register';
import { Report } from './commands/report';
import { config, SECTION, ServerSettings } from './config';
import { isScored } from './documents';
import { HeatMap } from './heatmap/heatmap';
import { Explanation } from './repair/explanation';
import { Server } from './server/server';
import { StatusItem } from './status/item';
import { ProbabilityItem } from './status/probability';
import { GhostText } from './writing/ghost';
import { Preview } from './writing/preview';

let server: Server | undefined;

export function activate(context: ExtensionContext): void {
  const log = window.createOutputChannel('risk-lsp', { log: true });
  const settings = new ServerSettings(context);
  const ghost = new GhostText();
  const preview = new Preview();
  const running = new Server(context, settings, log, ghost, preview);
  server = running;
  const heatMap = new HeatMap(running);
  const report = new Report(running);
  const explanation = new Explanation();
  context.subscriptions.push(
    log,
    ghost,
    preview,
    running,
    heatMap,
    report,
    explanation,
    new StatusItem(running),
    new ProbabilityItem(running),
    registerCommands(running, heatMap, report, context.secrets, log),
    running.onDidChangeStatus(() => setContext('running', running.isRunning)),
    running.onExplained((markdown) => void explanation.show(markdown)),
    running.onMissing((missing) => void explainMissing(missing)),
    workspace.onDidOpenTextDocument(() => startIfWanted(running)),
    workspace.onDidGrantWorkspaceTrust(() => void trusted(running)),
    workspace.onDidChangeConfiguration((event) => configurationChanged(event, running, settings)),
  );
  void sayLanguages();
  startIfWanted(running);
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}

/** The model takes memory: nothing is started before there is something to score. */
function startIfWanted(running: Server): void {
  if (!running.isWanted && workspace.textDocuments.some(isScored)) {
    void running.restart();
  }
}

/** Settings reach a running server; another command or other languages take a new one. */
function configurationChanged(
  event: ConfigurationChangeEvent,
  running: Server,
  settings: ServerSettings,
): void {
  const has = (names: string[]) => names.some((name) => event.affectsConfiguration(name));
  if (has([`${SECTION}.server`, `${SECTION}.languages`])) {
    void sayLanguages();
    if (running.isWanted) {
      void running.restart();
    } else {
      startIfWanted(running);
    }
  } else if (running.isWanted && has(settings.machineNames)) {
    void running.sayUserSettings();
  }
}

async function trusted(running: Server): Promise<void> {
  if (running.isMissing) {
    await running.restart(); // a command that was not to be used before
  } else if (running.isWanted) {
    await running.sayUserSettings();
  }
}

/** For the menus: which languages are scored, by name. */
async function sayLanguages(): Promise<void> {
  const chosen = config.languages();
  setContext('languages', chosen.includes('*') ? await languages.getLanguages() : chosen);
}

function setContext(name: string, value: unknown): void {
  void commands.executeCommand('setContext', `${SECTION}.${name}`, value);
}
