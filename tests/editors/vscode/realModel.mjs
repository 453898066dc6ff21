// The server as people have it, with the model that comes with it; what its numbers are is not checked here.
import { join } from 'node:path';
import { must, until } from './lib/checks.mjs';
import { changeSettings } from './lib/folders.mjs';
import { serverProcesses } from './lib/processes.mjs';

const THEMES = {
  light: 'Light 2026',
  dark: 'Dark 2026',
  'high-contrast': 'Default High Contrast',
  'high-contrast-light': 'Default High Contrast Light',
};
/** The editor, for a picture of it alone. */
const EDITOR = { x: 53, y: 92, width: 720, height: 470 };
const WORKBENCH = {
  light: '.vs',
  dark: '.vs-dark',
  'high-contrast': '.hc-black',
  'high-contrast-light': '.hc-light',
};

export function realModelChecks(window, folders, root) {
  return [
    ['without a server it says how to install one', async () => {
      changeSettings(folders, { 'riskLsp.server.command': null });
      await window.message('pip install risk-lsp');
      await window.screenshot('not-installed');
      await until('the end of the server', () => serverProcesses(folders.home).length === 0);
      await window.command('Notifications: Clear All Notifications');
    }],

    ['a changed command starts the server', async () => {
      const command = [join(root, '.venv', 'bin', 'risk-lsp'), 'serve'];
      changeSettings(folders, { 'riskLsp.threshold': 0, 'riskLsp.threads': 1, 'riskLsp.server.command': command });
      await until('a server', () => serverProcesses(folders.home).length > 0);
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

    ['pictures of it', async () => {
      await window.page.keyboard.press('Control+b');
      for (const [name, theme] of Object.entries(THEMES)) {
        changeSettings(folders, { 'riskLsp.threshold': 0.2, 'riskLsp.maxDiagnostics': 3, 'workbench.colorTheme': theme });
        await window.page.locator(`.monaco-workbench${WORKBENCH[name]}`).waitFor();
        await window.goToLine(27);
        await window.hover('lambda');
        await window.screenshot(`theme-${name}`);
        await window.screenshot(`heat-map-${name}`, { clip: EDITOR });
      }
    }],
  ];
}
