// What a person sees in a workspace of somebody else's; see STRANGERS in lib/samples.mjs.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, until } from './lib/checks.mjs';
import { changeSettings } from './lib/folders.mjs';
import { serverProcesses } from './lib/processes.mjs';

export function untrustedChecks(window, folders) {
  const hasRun = () => existsSync(join(folders.home, 'a-program-of-the-workspace-has-run'));
  return [
    ['untrusted: the model is the one that the user has chosen', () => {
      const loads = readFileSync(join(folders.scripted, 'loads'), 'utf8');
      must(!/of-the-workspace|'threads': 3/.test(loads), loads);
    }],

    ['untrusted: a program of the workspace is not taken for the server', async () => {
      await window.openFile('program.py');
      await window.waitForUnderlines(2);
      changeSettings(folders, { 'riskLsp.server.command': null });
      await window.message('once you trust it');
      await window.screenshot('untrusted');
      await until('the end of the server', () => serverProcesses(folders.home).length === 0);
      must(!hasRun(), 'it has run');
    }],

    ['once the workspace is trusted, its own environment is searched for the server', async () => {
      await window.command('Workspaces: Manage Workspace Trust');
await window.page.locator('.workspace-trust-editor').getByRole('button', { name: 'Trust', exact: true }).click();
      await until('the program of the workspace to run', hasRun);
    }],
  ];
}
