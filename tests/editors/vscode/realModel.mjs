// The server as people have it, with the model that comes with it; what its numbers are is not checked here.
import { join } from 'node:path';
import { must, until } from './lib/checks.mjs';
import { changeSettings } from './lib/folders.mjs';
import { serverProcesses } from './lib/processes.mjs';

const THEMES = { dark: 'Dark 2026', light: 'Light 2026', 'high-contrast': 'Default High Contrast' };

export function realModelChecks(window, folders, root) {
  return [
    ['a changed command starts another server', async () => {
      const before = serverProcesses(folders.home);
      const command = [join(root, '.venv', 'bin', 'risk-lsp'), 'serve'];
      changeSettings(folders, { 'riskLsp.threshold': 0, 'riskLsp.threads': 1, 'riskLsp.server.command': command });
      await until('another server', () => serverProcesses(folders.home).some((id) => !before.includes(id)));
    }],

    ['the model that comes with it underlines lines, and hover says a probability', async () => {
      await window.openFile('interval_merging.py');
      await until('underlines', async () => (await window.underlines()) > 0, 120_000);
      must(/\d% likely to need an edit/.test(await window.hover('def')), 'no probability');
    }],

    ['the status bar says the probability of the line', async () => {
      await window.goToLine(27);
      await window.statusItem(/^Line [<>]?\d+%$/);
    }],

    ...Object.entries(THEMES).map(([name, theme]) => [`a picture of it: ${name}`, async () => {
      changeSettings(folders, { 'riskLsp.maxDiagnostics': 3, 'workbench.colorTheme': theme });
      const kind = { dark: '.vs-dark', light: '.vs', 'high-contrast': '.hc-black' }[name];
      await window.page.locator(`.monaco-workbench${kind}`).waitFor();
      await window.hover('merge_intervals');
      await window.screenshot(`theme-${name}`);
    }]),
  ];
}
