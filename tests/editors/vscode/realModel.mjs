// The server as people have it, with the model that comes with it; what its numbers are is not checked here.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { must, until } from './lib/checks.mjs';
import { changeSettings, settingsAreChanged } from './lib/folders.mjs';
import { serverProcesses } from './lib/processes.mjs';

/** The editor, for a picture of it alone. */
const EDITOR = { x: 53, y: 92, width: 720, height: 470 };

export function realModelChecks(window, folders, root) {
  const server = join(root, '.venv', 'bin', 'risk-lsp');

  /** Have the three likeliest lines of a file underlined, whatever the model's numbers are; these lines. */
  function showLikeliest(name, settings = {}) {
    const args = ['check', join(folders.workspace, name), '--format', 'json', '--top', '3', '--no-cache'];
    const [{ worth_reading: found }] = JSON.parse(execFileSync(server, args)).files;
    const lowest = Math.min(...found.map(({ probability }) => probability));
    const threshold = Math.floor(100 * lowest) / 100;
    changeSettings(folders, { 'riskLsp.threshold': threshold, 'riskLsp.maxDiagnostics': 3, ...settings });
    return found.map(({ line }) => line);
  }

  return [
    ['without a server it says how to install one', async () => {
      changeSettings(folders, { 'riskLsp.server.command': null });
      await window.message('pipx install PATH_OF_THE_CHECKOUT_OR_WHEEL');
      await window.screenshot('not-installed');
      await until('the end of the server', () => serverProcesses(folders.home).length === 0);
      await window.command('Notifications: Clear All Notifications');
    }],

    ['a changed command starts the server', async () => {
      const command = [server, 'serve'];
      const all = { 'riskLsp.threshold': 0, 'riskLsp.maxDiagnostics': 1000 };
      changeSettings(folders, { 'riskLsp.server.command': command, 'riskLsp.threads': 1, ...all });
      await until('a server', () => serverProcesses(folders.home).length > 0);
    }],

    ['the model that comes with it underlines lines, and hover says a probability', async () => {
      await window.openFile('interval_merging.py');
      await until('underlines', async () => (await window.underlines()) > 0, 300_000); // the model is loaded
      const said = /\d% (likely to need|chance of) an edit|\d(st|nd|rd|th)/;
      must(said.test(await window.hover('def')), 'no number');
    }],

    ['the status bar says the probability of the line', async () => {
      await window.goToLine(27);
      await window.statusItem(/^Line [<>]?\d+(%|st|nd|rd|th)/);
    }],

    ['pictures of a repair', async () => {
      await window.page.keyboard.press('Control+b');
      showLikeliest('digits.py');
      await window.openFile('digits.py');
      await until('few underlines', async () => [1, 2, 3].includes(await window.underlines()));
      await window.goToLine(1);
      await window.codeAction('Request a repair of function digit_sum');
      await window.dialog('The command: python -m doctest digits.py');
      await window.screenshot('repair-question-light');
      await window.decide('The command: python -m doctest', 'Run');
      await window.showPreviewed();
      await window.screenshot('repair-light');
      await window.discardPreviewed();
      await window.command('View: Close All Editor Groups');
      await window.openFile('interval_merging.py');
    }],

    ['pictures of what the model would write', async () => {
      const settings = { 'riskLsp.inlineCompletion': true, 'riskLsp.threshold': 0.2 };
      changeSettings(folders, settings);
      await until('the settings', () => settingsAreChanged(folders));
      await window.openFile('mean.py');
      await window.page.keyboard.press('Control+End');
      await window.page.keyboard.type(' / ');
      await until('ghost text', async () => {
        await window.command('Trigger Inline Suggestion'); // what was asked while the model was loaded got nothing
        await window.page.waitForTimeout(2_000);
        return (await window.besideGhost()) !== '';
      });
      await window.screenshot('writing-light', { clip: { ...EDITOR, height: 110 } });
      await window.page.keyboard.press('Tab');
      await until('the text', async () => (await window.ghostText()) === '');
      changeSettings(folders, { 'riskLsp.inlineCompletion': null });
      await window.command('View: Revert and Close Editor');
    }],

    ['a picture of a body', async () => {
      changeSettings(folders, { 'riskLsp.inlineCompletion': true, 'riskLsp.threshold': 0.1 });
      await until('the settings', () => settingsAreChanged(folders));
      await window.openFile('vowels.py');
      await window.goToLine(1);
      let askedAt = 0;
      await until('the finished text', async () => {
        const [header] = await window.previewRows();
        if (header === undefined && Date.now() - askedAt > 30_000) { // what was asked while a model left its place got nothing
          askedAt = Date.now();
          await window.codeAction('Write the body');
        }
        return header?.text.includes('Tab accepts');
      });
      await window.screenshot('body-light', { clip: { ...EDITOR, width: 1_000, height: 110 } });
      await window.page.keyboard.press('Escape');
      await until('it to go', async () => (await window.previewRows()).length === 0);
      changeSettings(folders, { 'riskLsp.inlineCompletion': null });
      await window.command('View: Revert and Close Editor');
    }],

    ['pictures of it', async () => {
      const lines = showLikeliest('interval_merging.py', { 'editor.hover.above': false });
      await window.goToLine(Math.max(1, Math.min(...lines) - 6)); // in sight, and not at the cursor
      await until('few underlines', async () => [1, 2, 3].includes(await window.underlines()));
      await window.inThemes(folders, async (theme) => {
        await window.hoverUnderline();
        await window.screenshot(`theme-${theme}`);
        await window.screenshot(`heat-map-${theme}`, { clip: EDITOR });
        await window.leave();
      });
    }],

    ['pictures of the report', async () => {
      await window.command('Risk: Show Report');
      const report = await window.embedded('interval_merging.py');
      await window.inThemes(folders, async (theme) => {
        const shown = await window.background('.editor-instance .monaco-editor .monaco-editor-background');
        await until(`the report in ${theme}`, async () => (await colourOf(report)) === shown);
        await window.screenshot(`report-${theme}`);
      });
    }],
  ];
}

const colourOf = (frame) => frame.locator('body').evaluate((body) => getComputedStyle(body).backgroundColor);
