// VS Code in a browser, started and stopped.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { until } from './checks.mjs';

export class CodeServer {
  /** `suite` names the log; only the suite "untrusted" runs with workspace trust, and trusts nothing. */
  constructor({ root, folders, artefacts }, { suite, workspace }, extra) {
    const installed = join(root, '.cache', 'editors', 'code-server', 'node_modules');
    this.node = join(installed, 'node24', 'bin', 'node');
    this.entry = join(installed, 'code-server', 'out', 'node', 'entry.js');
    this.workspace = workspace;
    this.trust = suite === 'untrusted' ? [] : ['--disable-workspace-trust'];
    this.logFile = join(artefacts, `code-server-${suite}.log`);
    this.env = environment(folders, extra);
    const config = join(folders.home, 'empty.yaml');
    this.common = ['--user-data-dir', folders.user, '--extensions-dir', folders.extensions, '--config', config];
  }

  install(vsix) {
    execFileSync(this.node, [this.entry, ...this.common, '--install-extension', vsix], {
      env: this.env,
      stdio: 'pipe',
    });
  }

  async start() {
    this.port = await freePort();
    const log = openSync(this.logFile, 'w');
    const options = [
      '--auth',
      'none',
      '--bind-addr',
      `127.0.0.1:${this.port}`,
      '--disable-telemetry',
      '--disable-update-check',
    ];
    this.process = spawn(this.node, [this.entry, ...this.common, ...options, ...this.trust], {
      env: this.env,
      stdio: ['ignore', log, log],
      detached: true,
    });
    await until('code-server', () =>
      fetch(`http://127.0.0.1:${this.port}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
  }

  /** Address of the workspace, a folder or a file that lists folders, with a file open: a path below the same folder. */
  url(file) {
    const isList = this.workspace.endsWith('.code-workspace');
    const path = join(isList ? dirname(this.workspace) : this.workspace, file);
    const payload = JSON.stringify([['openFile', `vscode-remote://127.0.0.1:${this.port}${path}`]]);
    const query = new URLSearchParams({ [isList ? 'workspace' : 'folder']: this.workspace, payload });
    return `http://127.0.0.1:${this.port}/?${query}`;
  }

  /** End it and everything that it has started; resolves when that is done. */
  async stop() {
    const ended = once(this.process, 'exit');
    try {
      process.kill(-this.process.pid, 'SIGKILL'); // it leads a group of its own
    } catch (error) {
      if (error.code !== 'ESRCH') {
        throw error;
      }
    }
    await ended;
  }
}

function environment(folders, extra) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('VSCODE_'));
  // No server is to be found by chance.
  const home = { PATH: '/usr/bin:/bin', HOME: folders.home, XDG_CONFIG_HOME: join(folders.home, 'config') };
  return { ...Object.fromEntries(kept), ...home, XDG_DATA_HOME: join(folders.home, 'data'), ...extra };
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
