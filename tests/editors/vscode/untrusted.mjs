// What a person sees in a workspace of somebody else's; see STRANGERS in lib/samples.mjs.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, until } from './lib/checks.mjs';
import { changeSettings, sandboxCanary } from './lib/folders.mjs';
import { serverProcesses } from './lib/processes.mjs';
import { FAULTY_LINE } from './lib/samples.mjs';

const WHY = '(runs no tests: this workspace is not trusted)';

export function untrustedChecks(window, folders, command) {
  const hasRun = () => existsSync(join(folders.home, 'a-program-of-the-workspace-has-run'));
  return [
    ['untrusted: the model is the one that the user has chosen', () => {
      const loads = readFileSync(join(folders.scripted, 'loads'), 'utf8');
      must(!/of-the-workspace|'threads': 3/.test(loads), loads);
    }],

    ['untrusted: the menu offers repairs that run nothing, and says why', async () => {
      await window.openFile('faulty.py');
      await window.waitForUnderlines(1);
      await window.goToLine(FAULTY_LINE);
      const repairs = (await window.codeActions('Request a repair')).filter((title) => title.startsWith('Request a repair'));
      await window.screenshot('untrusted-menu');
      await window.page.keyboard.press('Escape');
      must(repairs.length > 0 && repairs.every((title) => title.endsWith(WHY)), `${repairs}`);
    }],

    ['untrusted: a repair is a suggestion, and no code has run', async () => {
      await window.codeAction('Request a repair of this line');
      await window.message('nothing was run: this workspace is not trusted');
      await window.previewed();
      await window.screenshot('untrusted-repair');
      must(!existsSync(sandboxCanary(folders)), 'the sandbox has started');
      must(!hasRun(), 'the program has run');
      await window.discardPreviewed();
      must((await window.line(FAULTY_LINE)).includes('number > BUG'), await window.line(FAULTY_LINE));
    }],

    ['untrusted: a program of the workspace is not taken for the server', async () => {
      changeSettings(folders, { 'riskLsp.server.command': null });
      await window.message('once you trust it');
      await window.screenshot('untrusted');
      await until('the end of the server', () => serverProcesses(folders.home).length === 0);
      must(!hasRun(), 'it has run');
    }],

    ['once the workspace is trusted, its own environment is searched for the server', async () => {
      await window.command('Workspaces: Manage Workspace Trust');
      await window.page
        .locator('.workspace-trust-editor')
        .getByRole('button', { name: 'Trust', exact: true })
        .click();
      await until('the program of the workspace to run', hasRun);
    }],

    ['once the workspace is trusted, repairs may be judged by tests, after a question', async () => {
      changeSettings(folders, { 'riskLsp.server.command': command });
      await window.openFile('trusted.py');
      await window.waitForUnderlines(1);
      await window.goToLine(FAULTY_LINE);
      await window.codeAction('Request a repair of this line');
      await window.dialog('The command: python -m doctest trusted.py');
      must(!existsSync(sandboxCanary(folders)), 'something was run before it was agreed to');
      await window.decide('The command: python -m doctest', 'Run');
      await until('what shows that something runs', () => existsSync(sandboxCanary(folders)));
    }],
  ];
}
