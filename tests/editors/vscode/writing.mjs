// What the model would write at the cursor; the scripted model writes what it is told.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, until } from './lib/checks.mjs';
import { changeSettings, settingsAreChanged } from './lib/folders.mjs';

const SIGNATURE = 'def first(values):';
const WRITTEN = 'return BUG values';

export function writingChecks(window, folders) {
  writeFileSync(join(folders.scripted, 'writes'), JSON.stringify([WRITTEN, 'return values[0]']));
  const { keyboard } = window.page;
  const shown = async () => (await window.ghostText()).includes('return');
  const runs = () => readFileSync(join(folders.scripted, 'runs'), 'utf8');

  async function change(settings) {
    changeSettings(folders, settings);
    await until('the settings', () => settingsAreChanged(folders));
  }

  /** Type a signature below what is there; the cursor is where its body begins. */
  async function typeSignature() {
    await keyboard.press('Control+End');
    await keyboard.type(SIGNATURE);
    await keyboard.press('Enter');
  }

  async function ask() {
    await until('ghost text', async () => {
      await window.command('Trigger Inline Suggestion');
      await window.page.waitForTimeout(500);
      return shown();
    });
  }

  return [
    ['by default nothing is written', async () => {
      await window.openFile('written.py');
      await typeSignature();
      await window.command('Trigger Inline Suggestion');
      await window.page.waitForTimeout(1_000);
      must(!(await shown()), await window.ghostText());
    }],

    ['behind a signature that is typed comes what the model would write, with a number beside it', async () => {
      await change({ 'riskLsp.inlineCompletion': true });
      await until('ghost text', async () => {
        // Again and again: what is typed before the setting is in force is not followed by a request.
        await keyboard.press('Control+a');
        await keyboard.press('Delete');
        await typeSignature();
        await window.page.waitForTimeout(3_000);
        return shown();
      });
      must((await window.besideGhost()) === '1 line worth a look, 63%', await window.besideGhost());
      await window.screenshot('ghost-text');
    }],

    ['what is dismissed leaves nothing', async () => {
      await keyboard.press('Escape');
      await until('it to go', async () => !(await shown()) && (await window.besideGhost()) === '');
      must(!(await window.line(2)).includes('return'), await window.line(2));
      must((await window.underlines()) === 0, 'something is underlined');
    }],

    ['who asks gets several, each with its number', async () => {
      await change({ 'riskLsp.debounce': 60 });
      await ask();
      const words = await window.besideGhost();
      must(words === '1: 1 line worth a look, 63% · 2: no line worth a look, <1%', words);
    }],

    ['accepted text has its underline, tint and hover without a run of the model', async () => {
      await ask();
      const before = runs();
      await keyboard.press('Tab');
      await window.waitForUnderlines(1);
      await until('the tint', async () => (await window.tints()).length > 0);
      must((await window.line(2)).includes(WRITTEN), await window.line(2));
      await keyboard.press('Escape'); // the editor asks for more behind it
      await until('the rest to go', async () => !(await shown()) && (await window.besideGhost()) === '');
      const hover = await window.hover('BUG');
      await window.screenshot('ghost-accepted');
      must(hover.includes('63%') && /Written by scripted model on .*, not edited since/.test(hover), hover);
      must(runs() === before, 'the model was run');
      await window.leave();
      await change({ 'riskLsp.debounce': 0.1, 'riskLsp.inlineCompletion': null });
      await window.save();
    }],
  ];
}
