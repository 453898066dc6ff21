// What the model would write at the cursor; the scripted model writes what it is told.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, until } from './lib/checks.mjs';
import { changeSettings, settingsAreChanged } from './lib/folders.mjs';

const SIGNATURE = 'def first(values):';
const WRITTEN = 'return BUG values';
const BODY = '\n    found = BUG(values)\n    return found';

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

  /** Replace all by a signature without a body; the cursor stays in it. */
  async function typeBare(comment) {
    writeFileSync(join(folders.scripted, 'writes'), JSON.stringify([BODY]));
    await until('the function', async () => {
      await keyboard.press('Escape');
      await keyboard.press('Control+a');
      await keyboard.press('Delete');
      await keyboard.type(comment ? `#${comment}` : '#');
      await keyboard.press('Enter');
      await keyboard.type(SIGNATURE);
      await keyboard.press('Enter');
      await keyboard.type('pass');
      await keyboard.press('Escape');
      await window.page.waitForTimeout(500);
      // A busy editor may not have indented it yet; ghost text may stand behind it.
      return (await text()).includes(`${SIGNATURE}\n    pass`);
    });
    await window.goToLine(2);
  }

  const text = async () => (await window.lines()).join('\n');

  async function ask() {
    await until('ghost text', async () => {
      await window.command('Trigger Inline Suggestion');
      await window.page.waitForTimeout(500);
      return (await shown()) && (await window.besideGhost()) !== '';
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
      await until('the rest to go', async () => {
        await keyboard.press('Escape'); // the editor asks for more behind it
        await window.page.waitForTimeout(1_000);
        return !(await shown()) && (await window.besideGhost()) === '';
      });
      const hover = await window.hover('BUG');
      await window.screenshot('ghost-accepted');
      must(hover.includes('63%') && /Written by scripted model on .*, not edited since/.test(hover), hover);
      must(runs() === before, 'the model was run');
      await window.leave();
      await window.save();
    }],

    ['a body grows in the document, with its heat; Escape cancels it, and the document is as it was', async () => {
      await change({ 'riskLsp.debounce': 0.1 });
      await typeBare(' PONDER');
      const before = await text();
      await window.codeAction('Write the body');
      await until('the preview', async () => (await window.previewRows()).length === 2);
      const [said, row] = await window.previewRows();
      must(said.text.includes('Escape cancels') && row.text === '    found = BUG(values)', JSON.stringify([said, row]));
      must(row.isTinted, 'no tint');
      await window.screenshot('body-growing');
      await window.command('Trigger Inline Suggestion');
      await window.page.waitForTimeout(1_000);
      must(!(await shown()), `ghost text among its lines: ${await window.ghostText()}`);
      must((await window.previewRows()).length === 2, 'the preview is gone');
      const started = Date.now();
      await keyboard.press('Escape');
      await until('it to go', async () => (await window.previewRows()).length === 0);
      console.log(`       gone after ${Date.now() - started} ms`);
      must((await text()) === before, await text());
    }],

    ['a key cancels it, too', async () => {
      await window.codeAction('Write the body');
      await until('the preview', async () => (await window.previewRows()).length === 2);
      await keyboard.press('End');
      await keyboard.type(' ');
      await until('it to go', async () => (await window.previewRows()).length === 0);
      await keyboard.press('Control+z');
    }],

    ['a finished body is taken by Tab, with its underline and hover, without a run of the model', async () => {
      await typeBare('');
      const before = runs();
      await window.codeAction('Write the body');
      await until('the finished text', async () => (await window.previewRows()).length === 3);
      const [said, ...rows] = await window.previewRows();
      must(said.text.includes('1 line worth a look, 63%: Tab accepts'), said.text);
      must(rows.map(({ isTinted }) => isTinted).join() === 'true,false', JSON.stringify(rows));
      await window.screenshot('body-finished');
      await keyboard.press('Tab');
      await until('the text', async () => (await text()).trimEnd() === `#\n${SIGNATURE}${BODY}`);
      await window.waitForUnderlines(1);
      const hover = await window.hover('BUG');
      must(/Written by scripted model on .*, not edited since/.test(hover), hover);
      must(runs() === before, 'the model was run');
      await window.leave();
    }],

    ['with a hint, the body begins with it', async () => {
      await typeBare('');
      await window.codeAction('Write the body with a hint');
      await window.answer('Write the body with a hint', 'the first of them');
      await until('the finished text', async () => (await window.previewRows()).length === 4);
      await window.screenshot('body-with-a-hint');
      await keyboard.press('Tab');
      await until('the text', async () => (await text()).includes('# the first of them'));
      await window.waitForUnderlines(1);
      await change({ 'riskLsp.inlineCompletion': null });
      await window.save();
    }],
  ];
}
