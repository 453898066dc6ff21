import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import * as path from 'node:path';
import { extensions, workspace } from 'vscode';
import { config } from '../config';
import { type Candidate, candidates, type Surroundings } from './candidates';

/** The server could not be found; the message says what to do, and `install` is the command that installs it. */
export class ServerNotFound extends Error {
  constructor(
    message: string,
    readonly install: string,
  ) {
    super(message);
  }
}

/**
 * The command that installs the server: from the wheel that the extension at `folder` carries, or from a checkout or wheel
 * that the person has. There is no package to fetch by name.
 */
export async function installCommand(folder: string): Promise<string> {
  const names = await readdir(path.join(folder, 'server')).catch(() => []);
  const wheel = names.find((name) => name.endsWith('.whl'));
  return `pipx install ${wheel ? `"${path.join(folder, 'server', wheel)}"` : 'PATH_OF_THE_CHECKOUT_OR_WHEEL'}`;
}

/** The first candidate that is there, for the extension in a folder. Throws ServerNotFound. */
export async function locateServer(folder: string): Promise<Candidate> {
  const around = await surroundings();
  for (const candidate of candidates(around)) {
    if (await isExecutable(candidate.command)) {
      return candidate;
    }
  }
  const install = await installCommand(folder);
  const [word] = around.command;
  if (word || around.interpreter) {
    const setting = word ? 'riskLsp.server.command' : 'riskLsp.server.interpreter';
    throw new ServerNotFound(
      `The setting ${setting} names ${word || around.interpreter}, which cannot be run.`,
      install,
    );
  }
  const elsewhere = around.isTrusted
    ? ''
    : ' (The environment of a workspace is searched once you trust it.)';
  throw new ServerNotFound(
    `The language server is not installed. Install it with: ${install}${elsewhere}`,
    install,
  );
}

async function surroundings(): Promise<Surroundings> {
  return {
    platform: process.platform,
    home: homedir(),
    environment: process.env,
    command: config.serverCommand(),
    interpreter: config.serverInterpreter(),
    isTrusted: workspace.isTrusted,
    folders: (workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath),
    selectedPython: workspace.isTrusted ? await selectedPython() : undefined,
  };
}

interface PythonExtension {
  environments: { getActiveEnvironmentPath(): { path: string } };
}

async function selectedPython(): Promise<string | undefined> {
  try {
    const python = await extensions.getExtension<PythonExtension>('ms-python.python')?.activate();
    return python?.environments.getActiveEnvironmentPath().path;
  } catch {
    return undefined; // That extension has its own way to say what is wrong with it.
  }
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
