// Where the server is found when no setting names it: each place has a program that notes its name and is the scripted server.
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { until } from './lib/checks.mjs';
import { changeSettings, settingsAreChanged } from './lib/folders.mjs';
import { scripted } from './lib/session.mjs';

export function locatingChecks(window, folders, root) {
  const command = scripted({ root, folders });
  const started = join(folders.home, 'started');
  const programs = {
    uv: join(folders.home, 'data', 'uv', 'tools', 'risk-lsp', 'bin', 'risk-lsp'),
    pipx: join(folders.home, '.local', 'bin', 'risk-lsp'),
    workspace: join(folders.workspace, '.venv', 'bin', 'risk-lsp'),
  };

  function put(name) {
    const file = programs[name];
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `#!/bin/sh\necho ${name} > '${started}'\nexec ${command.map((word) => `'${word}'`).join(' ')}\n`);
    chmodSync(file, 0o755);
  }

  const startedBy = (name) =>
    until(`the program of ${name}`, () => {
      try {
        return readFileSync(started, 'utf8').trim() === name;
      } catch {
        return false; // none has started yet
      }
    });

  return [
    ['a server among the tools of uv is found', async () => {
      put('uv');
      changeSettings(folders, { 'riskLsp.server.command': null });
      await startedBy('uv');
    }],

    ['one that pipx has installed goes before it, and one of the workspace that is trusted before that', async () => {
      for (const name of ['pipx', 'workspace']) {
        put(name);
        await window.command('Risk: Restart Server');
        await startedBy(name);
      }
      Object.values(programs).forEach((file) => rmSync(file));
      changeSettings(folders, { 'riskLsp.server.command': command });
      await until('the settings', () => settingsAreChanged(folders)); // before the next check takes them back
    }],
  ];
}
