import * as path from 'node:path';

/** Everything that decides where the server may be; see `candidates`. */
export interface Surroundings {
  platform: NodeJS.Platform;
  home: string;
  /** The PATH variable. */
  searchPath: string;
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
  origin: 'riskLsp.server.command' | 'riskLsp.server.interpreter' | 'PATH' | 'selected Python' | '.venv';
}

/**
 * Where the server may be, best first. What the user set is the only candidate; an untrusted workspace has no say, and
 * nothing in it is run even when PATH leads there.
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
  const found: Candidate[] = onSearchPath(around, 'risk-lsp').map((command) => serving(command, 'PATH'));
  if (around.isTrusted) {
    const selected = around.selectedPython ? besidePython(around, around.selectedPython) : [];
    found.push(...selected.map((command) => serving(command, 'selected Python')));
    found.push(...around.folders.map((folder) => serving(inEnvironment(around, folder, '.venv'), '.venv')));
  }
  return found;
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
  return around.searchPath
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
