import * as path from 'node:path';

/** Everything that decides where the server may be; see `candidates`. */
export interface Surroundings {
  platform: NodeJS.Platform;
  home: string;
  /** Of the process: PATH, and where pipx and uv were told to put tools. */
  environment: Record<string, string | undefined>;
  /** The setting riskLsp.server.command. */
  command: string[];
  /** The setting riskLsp.server.interpreter. */
  interpreter: string;
  isTrusted: boolean;
  /** Folders of the workspace. */
  folders: string[];
  /** The Python chosen in the editor: an interpreter or the folder of its environment. */
  selectedPython?: string | undefined;
}

/** A command that would start the server if its first word is an executable file. */
export interface Candidate {
  command: string;
  args: string[];
  origin:
    | 'riskLsp.server.command'
    | 'riskLsp.server.interpreter'
    | 'selected Python'
    | '.venv'
    | 'PATH'
    | 'pipx'
    | 'uv';
}

/**
 * Where the server may be, best first. What the user set is the only candidate. Else it is looked for in the workspace's
 * environment, on PATH, and among the tools of pipx and uv, whose folders need not be on an editor's PATH. An untrusted
 * workspace has no say, and nothing in it is run even when PATH leads there.
 */
export function candidates(around: Surroundings): Candidate[] {
  const [word, ...args] = around.command;
  if (word) {
    return named(around, word).map((command) => ({ command, args, origin: 'riskLsp.server.command' }));
  }
  if (around.interpreter) {
    return named(around, around.interpreter).map((command) => ({
      command,
      args: ['-m', 'risk_lsp', 'serve'],
      origin: 'riskLsp.server.interpreter',
    }));
  }
  const found: Candidate[] = [];
  if (around.isTrusted) {
    const selected = around.selectedPython ? besidePython(around, around.selectedPython) : [];
    found.push(...selected.map((command) => serving(command, 'selected Python')));
    found.push(...around.folders.map((folder) => serving(inEnvironment(around, folder, '.venv'), '.venv')));
  }
  found.push(...onSearchPath(around, 'risk-lsp').map((command) => serving(command, 'PATH')));
  found.push(...withinReach(around, ofPipx(around)).map((command) => serving(command, 'pipx')));
  found.push(...withinReach(around, ofUv(around)).map((command) => serving(command, 'uv')));
  return found;
}

/** Where pipx links tools to, and the environments that it makes for them: https://pipx.pypa.io. */
function ofPipx(around: Surroundings): string[] {
  const { PIPX_BIN_DIR, PIPX_HOME, XDG_DATA_HOME } = around.environment;
  const links = PIPX_BIN_DIR ?? inHome(around, '.local', 'bin');
  const homes = PIPX_HOME
    ? [PIPX_HOME]
    : [
        style(around).join(XDG_DATA_HOME ?? inHome(around, '.local', 'share'), 'pipx'),
        inHome(around, '.local', 'pipx'),
        inHome(around, 'pipx'),
      ];
  return [
    style(around).join(links, executable(around, 'risk-lsp')),
    ...homes.map((home) => inEnvironment(around, home, 'venvs', 'risk-lsp')),
  ];
}

/** The same of uv: https://docs.astral.sh/uv/reference/storage. */
function ofUv(around: Surroundings): string[] {
  const { UV_TOOL_BIN_DIR, UV_TOOL_DIR, XDG_DATA_HOME, APPDATA } = around.environment;
  const data =
    around.platform === 'win32'
      ? (APPDATA ?? inHome(around, 'AppData', 'Roaming'))
      : (XDG_DATA_HOME ?? inHome(around, '.local', 'share'));
  const tools = UV_TOOL_DIR ?? style(around).join(data, 'uv', 'tools');
  const links = UV_TOOL_BIN_DIR ? [style(around).join(UV_TOOL_BIN_DIR, executable(around, 'risk-lsp'))] : [];
  return [...links, inEnvironment(around, tools, 'risk-lsp')];
}

function inHome(around: Surroundings, ...parts: string[]): string {
  return style(around).join(around.home, ...parts);
}

/** Files by whole paths, none of which an untrusted workspace holds. */
function withinReach(around: Surroundings, files: string[]): string[] {
  const paths = style(around);
  return files.filter((file) => paths.isAbsolute(file) && (around.isTrusted || !isInWorkspace(around, file)));
}

function serving(command: string, origin: Candidate['origin']): Candidate {
  return { command, args: ['serve'], origin };
}

/** A command as a person writes it: a path, one from the home folder, or a name on PATH. */
function named(around: Surroundings, word: string): string[] {
  const paths = style(around);
  if (word.startsWith('~/')) {
    return [paths.join(around.home, word.slice(2))];
  }
  return paths.isAbsolute(word) ? [word] : onSearchPath(around, word);
}

function onSearchPath(around: Surroundings, name: string): string[] {
  const paths = style(around);
  const file = paths.basename(name) === name ? executable(around, name) : null;
  if (file === null) {
    return []; // A relative path would be looked for in whatever folder this process is in.
  }
  return (around.environment.PATH ?? '')
    .split(paths.delimiter)
    .filter((folder) => paths.isAbsolute(folder) && (around.isTrusted || !isInWorkspace(around, folder)))
    .map((folder) => paths.join(folder, file));
}

function besidePython(around: Surroundings, python: string): string[] {
  const paths = style(around);
  return [paths.join(paths.dirname(python), executable(around, 'risk-lsp')), inEnvironment(around, python)];
}

function inEnvironment(around: Surroundings, ...folder: string[]): string {
  const scripts = around.platform === 'win32' ? 'Scripts' : 'bin';
  return style(around).join(...folder, scripts, executable(around, 'risk-lsp'));
}

function isInWorkspace(around: Surroundings, folder: string): boolean {
  const paths = style(around);
  return around.folders.some((root) => {
    const relative = paths.relative(root, folder);
    return relative === '' || !(relative.startsWith('..') || paths.isAbsolute(relative));
  });
}

function executable(around: Surroundings, name: string): string {
  return around.platform === 'win32' && !name.endsWith('.exe') ? `${name}.exe` : name;
}

function style(around: Surroundings): path.PlatformPath {
  return around.platform === 'win32' ? path.win32 : path.posix;
}
