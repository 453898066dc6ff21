// Repairs as a person has them made: asked about tests, watched, looked at, accepted or not.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { must, until } from './lib/checks.mjs';

const FAULTY_LINE = 9;

export function repairChecks(window, folders, root) {
  const preview = window.page.locator('.bulk-edit-panel');

  return [
    ['an explanation opens beside the text', async () => {
      await window.openFile('largest.py');
      await window.waitForUnderlines(1);
      await window.goToLine(FAULTY_LINE);
      await window.codeAction('Explain the risk of this line');
      await window.embedded('likely to need an edit');
      await window.screenshot('explanation');
      await window.command('View: Close All Editor Groups');
    }],

    ['a repair is looked at before it is applied, and then the doctests pass', async () => {
      await window.openFile('largest.py');
      await window.waitForUnderlines(1);
      await window.goToLine(FAULTY_LINE);
      await window.codeAction('Request a repair of this line');
      await window.message('The command: python -m doctest largest.py');
      await window.screenshot('repair-consent');
      await window.press('The command: python -m doctest', 'Run');
      await preview.getByRole('button', { name: 'Apply' }).waitFor();
      await window.screenshot('repair-preview');
      must(!/number > best/.test(await window.line(FAULTY_LINE)), 'it was applied by itself');
      await preview.locator('.monaco-checkbox').first().click(); // what needs confirmation is not ticked
      await preview.getByRole('button', { name: 'Apply' }).click();
      await until('the repair', async () => /number > best/.test(await window.line(FAULTY_LINE)));
      await window.save();
      const file = join(folders.workspace, 'largest.py');
      execFileSync(join(root, '.venv', 'bin', 'python'), ['-m', 'doctest', file]);
    }],

    ['a repair that is cancelled half-way changes nothing', async () => {
      await window.openFile('slow.py');
      await window.waitForUnderlines(1);
      await window.goToLine(FAULTY_LINE);
      await window.codeAction('Request a repair of this line');
      await window.press('The command: python -m doctest', 'Run');
      await window.message('running the tests');
      await window.screenshot('repair-progress');
      await window.press('running the tests', 'Cancel');
      must((await window.line(FAULTY_LINE)).includes('number < best'), await window.line(FAULTY_LINE));
    }],
  ];
}
