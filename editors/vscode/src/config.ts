import { ConfigurationTarget, type ExtensionContext, Uri, workspace } from 'vscode';

export const SECTION = 'riskLsp';

/** The extension's own settings; the server's are in `ServerSettings`. */
export const config = {
  heatMap: () => get('heatMap.enabled', true),
  gutter: () => get('heatMap.gutter', true),
  statusBarProbability: () => get('statusBar.probability', true),
  /** The server's own setting. */
  inlineCompletion: () => get('inlineCompletion', false),
  /** Seconds, of the folder that a document is in; the server's own setting. */
  quietPeriod: (document: Uri) => get('debounce', 0.7, document),
  languages: () => get<string[]>('languages', ['python']),
  serverCommand: () => get<string[]>('server.command', []),
  serverInterpreter: () => get('server.interpreter', ''),
};

/** Change a setting where it is set now, so that the change has an effect. */
export async function set(name: string, value: unknown): Promise<void> {
  const configuration = workspace.getConfiguration(SECTION);
  const isWorkspaces = configuration.inspect(name)?.workspaceValue !== undefined;
  const target = isWorkspaces ? ConfigurationTarget.Workspace : ConfigurationTarget.Global;
  await configuration.update(name, value, target);
}

function get<T>(name: string, fallback: T, document?: Uri): T {
  return workspace.getConfiguration(SECTION, document).get<T>(name) ?? fallback;
}

interface Property {
  scope: 'resource' | 'window' | 'machine' | 'machine-overridable';
}

/** The settings that are the server's, as the manifest lists them (generated from risk_lsp/settings.py). */
export class ServerSettings {
  private readonly resource: string[];
  private readonly machine: string[];

  constructor(context: ExtensionContext) {
    const categories: { id: string; properties: Record<string, Property> }[] =
      context.extension.packageJSON.contributes.configuration;
    const properties = Object.entries(categories.find(({ id }) => id === 'riskLsp.server')?.properties ?? {});
    const names = (isMachine: boolean) =>
      properties
        .filter(([, { scope }]) => scope.startsWith('machine') === isMachine)
        .map(([name]) => name.slice(SECTION.length + 1));
    this.resource = names(false);
    this.machine = names(true);
  }

  /** Full names of the settings that are the user's alone. */
  get machineNames(): string[] {
    return this.machine.map((name) => `${SECTION}.${name}`);
  }

  /** What the user, never a workspace, says about which model runs and how, and whether they trust the workspace. */
  initializationOptions(): Record<string, unknown> {
    const configuration = workspace.getConfiguration(SECTION);
    const given = defined(this.machine, (name) => configuration.inspect(name)?.globalValue);
    return { ...given, trusted: workspace.isTrusted && given.trusted !== false };
  }

  /**
   * The answer to the server's question, about a folder or the workspace as a whole: the merged settings, and of the
   * user's own ones what a workspace sets.
   */
  pulled(folder?: string): Record<string, unknown> {
    const configuration = workspace.getConfiguration(
      SECTION,
      folder === undefined ? undefined : Uri.parse(folder),
    );
    return {
      ...defined(this.resource, (name) => configuration.get(name)),
      ...defined(this.machine, (name) => {
        const found = configuration.inspect(name);
        return found?.workspaceFolderValue ?? found?.workspaceValue;
      }),
    };
  }
}

function defined(names: string[], value: (name: string) => unknown): Record<string, unknown> {
  return Object.fromEntries(
    names.map((name) => [name, value(name)]).filter(([, found]) => found !== undefined),
  );
}
