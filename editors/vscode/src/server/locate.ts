import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { extensions, workspace } from 'vscode';
import { config } from '../config';
import { type Candidate, candidates, type Surroundings } from './candidates';

export const INSTALL_COMMAND = 'pip install risk-lsp';

/** The server could not be found; the message says what to do. */
export class ServerNotFound extends Error {}

/** The first candidate that is there. Throws ServerNotFound. */
export async function locateServer(): Promise<Candidate> {
  const around = await surroundings();
  for (const candidate of candidates(around)) {
    if (await isExecutable(candidate.command)) {
      return candidate;
    }
  }
  const [word] = around.command;
  if (word || around.interpreter) {
    const setting = word ? 'riskLsp.server.command' : 'riskLsp.server.interpreter';
    throw new ServerNotFound(
      `The setting ${setting} names ${word || around.interpreter}, which cannot be run.`,
    );
  }
  const elsewhere = around.isTrusted
    ? ''
    : ' (The environment of a workspace is searched once you trust it.)';
  throw new ServerNotFound(
    `The language server is not installed. Install it with: ${INSTALL_COMMAND}${elsewhere}`,
  );
}

async function surroundings(): Promise<Surroundings> {
  return {
    platform: process.platform,
    home: homedir(),
    searchPath: process.env.PATH ?? '',
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
