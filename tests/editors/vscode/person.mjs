// What a person sees and does, with the scripted server: a line with BUG is 63% likely to need an edit, with MAYBE 22%.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, until } from './lib/checks.mjs';
import { changeSettings } from './lib/folders.mjs';
import { serverProcesses } from './lib/processes.mjs';

export function personChecks(window, folders) {
  return [
    ['a likely line is underlined', async () => {
      await window.openFile('sample.py');
      await window.waitForUnderlines(1);
    }],

    ['hover says the probability in words, and once where the hint says it too', async () => {
      const aside = await window.hover('BUG');
      must(/Most of the 63% chance of an edit comes from/.test(aside), aside);
      await window.hoverUnderline();
      const text = await until('the hover below the hint', async () => {
        const shown = await window.hovered();
        return /Most of/.test(shown) && shown;
      });
      must(/63% likely to need an edit[^]*Most of it comes from/.test(text), text);
      must(text.match(/63%/g).length === 1, text);
      await window.screenshot('hover');
    }],

    ...['emoji.py', 'cjk.py', 'combining.py', 'crlf.py', 'formfeed.py'].map((name) => [
      `underlines are below the right characters: ${name}`,
      async () => {
        const text = readFileSync(join(folders.workspace, name), 'utf8');
        const expected = [...text.matchAll(/\S[^\r\n]*BUG[^\r\n]*/g)].map(([line]) => line.trimEnd());
        await window.openFile(name);
        await window.waitForUnderlines(expected.length);
        const underlined = await window.underlined();
        must(String(underlined) === String(expected.map((line) => line.slice(0, 2))), `underlined: ${underlined}`);
        await window.hover('BUG');
        const highlighted = await window.highlighted();
        must(drawn(highlighted) === drawn(expected.at(-1)), `highlighted: ${JSON.stringify(highlighted)}`);
        await window.screenshot(`underlines-${name.replace('.py', '')}`);
      },
    ]),

    ['while one types the text stays where it is, and the heat map with its lines', async () => {
      await window.openFile('typed.py');
      await window.waitForUnderlines(1);
      await until('tints', async () => (await window.tints()).length === 2);
      const left = await window.textLeft();
      await window.goToLine(3);
      for (const key of 'code = "so"') {
        await window.page.keyboard.press(key === ' ' ? 'Space' : key);
        must((await window.textLeft()) === left, 'the text has moved');
        must((await window.tints()).length === 2, 'the heat map has gone');
        must((await window.underlines()) === 1, 'the underline has gone');
      }
      await window.save();
    }],

    ['while one types the model waits for the quiet period, unless it is told not to', async () => {
      changeSettings(folders, { 'riskLsp.debounce': 60, 'riskLsp.threshold': 0.2 });
      await window.waitForUnderlines(2); // with the one setting the server has the other
      await window.goToLine(3);
      const runs = modelRuns(folders);
      await window.page.keyboard.insertText('# ');
      await window.page.waitForTimeout(1_000); // the status bar follows the cursor much faster
      must(modelRuns(folders) === runs, 'the model was run');
      await window.command('Risk: Analyse Now');
      await until('a run of the model', () => modelRuns(folders) > runs);
      changeSettings(folders, { 'riskLsp.debounce': 0.1, 'riskLsp.threshold': null });
      await window.waitForUnderlines(1);
      await window.save();
    }],

    ['the status bar says the probability of the line, and follows the cursor', async () => {
      await window.openFile('sample.py');
      await window.goToLine(5);
      await window.statusItem(/^Line 63%$/);
      await window.goToLine(4);
      await window.statusItem(/^Line <1%$/);
    }],

    ['the status bar says the probability of the selection, without a model run', async () => {
      await window.goToLine(3);
      const runs = modelRuns(folders);
      await window.page.keyboard.press('Home');
      for (let line = 0; line < 3; line += 1) {
        await window.page.keyboard.press('Shift+ArrowDown');
      }
      await window.statusItem(/^Selection 71%$/);
      must(modelRuns(folders) === runs, 'the model was run');
      await window.screenshot('selection');
    }],

    ['the heat map tints likely lines and marks them in the margin', async () => {
      const tints = await until('tints', async () => (await window.tints()).length && window.tints());
      must(tints.length === 2 && new Set(tints).size === 2, `tints ${tints}`);
      must((await window.bars()) === 2, `${await window.bars()} bars`);
    }],

    ['the heat map goes and comes back by command', async () => {
      await window.command('Risk: Toggle Heat Map');
      await until('the tints to go', async () => (await window.tints()).length === 0);
      await window.screenshot('heat-map-off');
      await window.command('Risk: Toggle Heat Map');
      await until('the tints to come', async () => (await window.tints()).length === 2);
    }],

    ['a changed setting takes effect without a reload or a new server', async () => {
      const before = serverProcesses(folders.home);
      changeSettings(folders, { 'riskLsp.threshold': 0.2 });
      await window.waitForUnderlines(2);
      changeSettings(folders, { 'riskLsp.threshold': null });
      await window.waitForUnderlines(1);
      must(String(serverProcesses(folders.home)) === String(before), 'the server is another one');
    }],

    ['snoozed it shows nothing, says for how long, and comes back', async () => {
      await window.command('Risk: Snooze...');
      await window.pick('15 minutes');
      await window.waitForUnderlines(0);
      await window.statusItem(/^Risk 15 min$/);
      must((await window.tints()).length === 0, 'the heat map is still there');
      await window.screenshot('snoozed');
      await window.clickStatusItem('Risk 15 min');
      await window.pick('End the snooze');
      await window.waitForUnderlines(1);
      await until('the tints to come', async () => (await window.tints()).length === 2);
    }],

    ['a click on the state shows what can be done', async () => {
      await window.clickStatusItem('Risk');
      const choices = await window.choices('Analyse now');
      await window.screenshot('menu');
      await window.shut();
      await window.leave();
      for (const choice of ['Analyse now', 'Show report', 'Snooze', 'Settings', 'Show log', 'Restart server']) {
        must(choices.some((text) => text.includes(choice)), `${choice} is not among ${choices}`);
      }
    }],

    ['code actions offer to ignore a likely line', async () => {
      await window.openFile('three.py');
      await window.waitForUnderlines(3);
      await window.goToLine(2);
      const actions = await window.codeActions(/ignore/i);
      await window.screenshot('code-actions');
      await window.page.keyboard.press('Escape');
      must(actions.some((action) => /ignore/i.test(action)), `${actions}`);
    }],

    ['a line ignored in the source has a comment and no underline', async () => {
      await window.openFile('ignored.py');
      await window.waitForUnderlines(1);
      await window.goToLine(2);
      await window.command('Risk: Ignore This Line...');
      await window.pick('Write a comment');
      await window.waitForUnderlines(0);
      must(/# risk: ignore$/.test(await window.line(2)), await window.line(2));
      await window.save();
    }],

    ['a line ignored for oneself stays ignored when lines come before it, and the file is as it was', async () => {
      await window.openFile('stored.py');
      await window.waitForUnderlines(1);
      await window.goToLine(2);
      await window.command('Risk: Ignore This Line...');
      await window.pick('Remember it for me');
      await window.waitForUnderlines(0);
      must((await window.line(2)) === 'two = "BUG"', await window.line(2));
      await window.goToLine(1);
      await window.page.keyboard.insertText('another = "BUG"\n');
      await window.waitForUnderlines(1);
      await window.save(); // An unsaved file would ask a question when it is closed.
    }],

    ['the report opens beside the file', async () => {
      await window.openFile('sample.py');
      await window.command('Risk: Show Report');
      await window.embedded('63%');
      await window.screenshot('report');
      await window.command('View: Close All Editor Groups');
      await window.openFile('sample.py');
    }],

    ['a walkthrough of three steps shows how to begin', async () => {
      await window.command('Welcome: Open Walkthrough...');
      await window.pick('Get started with risk-lsp');
      const steps = window.page.locator('.gettingStartedContainer .getting-started-step');
      await until('three steps', async () => (await steps.count()) === 3);
      // It takes the focus when it is all there, and with that it would shut the palette.
      await window.page.waitForFunction(() => document.activeElement?.closest('.gettingStartedContainer'));
      await window.screenshot('walkthrough');
      await window.command('View: Close All Editor Groups');
      await window.openFile('sample.py');
    }],

    ['a killed server comes back by itself', async () => {
      const before = serverProcesses(folders.home);
      must(before.length > 0, 'no server is running');
      for (const id of before) {
        process.kill(id, 'SIGKILL');
      }
      await until('a new server', () => serverProcesses(folders.home).some((id) => !before.includes(id)));
      await window.goToLine(5);
      await window.statusItem(/^Line 63%$/);
      await window.waitForUnderlines(1);
      must(/63%/.test(await window.hover('return')), 'no hover');
    }],
  ];
}

/** Without characters that have no form: the editor draws others in their place. */
const drawn = (text) => text.replaceAll(/[\u000b\u240b\u2028\ufffd]/g, '?');

/** How often the scripted model was run. */
function modelRuns(folders) {
  return readFileSync(join(folders.scripted, 'runs'), 'utf8').split('\n').length;
}
