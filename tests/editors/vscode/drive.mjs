// node drive.mjs ROOT HOST_TESTS_VSIX: everything that is checked in a real VS Code, in one session of it.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { check, conclude, record, until } from './lib/checks.mjs';
import { CodeServer } from './lib/codeServer.mjs';
import { makeFolders, settingsFile, writeSettings } from './lib/folders.mjs';
import { Window } from './lib/page.mjs';
import { personChecks } from './person.mjs';
import { realModelChecks } from './realModel.mjs';

const [root, hostTests] = process.argv.slice(2);
const artefacts = join(root, '.cache', 'editors', 'artefacts', 'vscode');
rmSync(artefacts, { recursive: true, force: true });
mkdirSync(artefacts, { recursive: true });

const folders = makeFolders(root);
const hostResults = join(folders.home, 'host-results.json');
const python = join(root, '.venv', 'bin', 'python');
const scripted = ['/usr/bin/env', `PYTHONPATH=${root}`, python, '-m', 'tests.server.scripted_server', folders.scripted];
writeSettings(folders, { 'riskLsp.server.command': scripted });

const editor = new CodeServer(root, folders, artefacts, {
  RISK_LSP_HOST_RESULTS: hostResults,
  RISK_LSP_SETTINGS: settingsFile(folders),
});
editor.install(join(root, 'editors', 'vscode', 'dist', 'risk-lsp.vsix'));
editor.install(hostTests);
await editor.start();
const window = await Window.open(artefacts);
try {
  await window.load(editor.url('sample.py'));
  await check('the suite inside of the extension host ends', () => until('it', () => existsSync(hostResults), 180_000));
  if (existsSync(hostResults)) {
    JSON.parse(readFileSync(hostResults, 'utf8')).forEach(record);
  }
  const failed = (name) => window.screenshot(`failed-${name.replaceAll(/\W+/g, '-')}`);
  for (const [name, body] of [...personChecks(window, folders), ...realModelChecks(window, folders, root)]) {
    await check(name, body, failed);
  }
} finally {
  await window.close();
  editor.stop();
  if (!process.env.KEEP) {
    rmSync(folders.home, { recursive: true, force: true });
  }
}
process.exit(conclude());
