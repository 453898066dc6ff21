// Repairs as a person has them made: asked about tests, watched, looked at, accepted or not.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { must, until } from './lib/checks.mjs';
import { sandboxes } from './lib/processes.mjs';
import { FAULTY_LINE } from './lib/samples.mjs';

export function repairChecks(window, folders, root) {
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

    ['a repair is looked at before it is applied, and then the doctests pass and the underline is gone', async () => {
      await window.openFile('largest.py');
      await window.waitForUnderlines(1);
      await window.goToLine(FAULTY_LINE);
      await window.codeAction('Request a repair of this line');
      await window.dialog('The command: python -m doctest largest.py');
      await window.screenshot('repair-consent');
      await window.decide('The command: python -m doctest', 'Run');
      await window.previewed();
      await window.screenshot('repair-preview');
      must(/number > BUG/.test(await window.line(FAULTY_LINE)), 'it was applied by itself');
      await window.applyPreviewed();
      await until('the repair', async () => /number > best/.test(await window.line(FAULTY_LINE)));
      await window.waitForUnderlines(0);
      await window.save();
      const file = join(folders.workspace, 'largest.py');
      execFileSync(join(root, '.venv', 'bin', 'python'), ['-m', 'doctest', file]);
    }],

    ['a repair that is cancelled half-way changes nothing', async () => {
      await window.openFile('slow.py');
      await window.waitForUnderlines(1);
      await window.goToLine(FAULTY_LINE);
      await window.codeAction('Request a repair of this line');
      await window.decide('The command: python -m doctest', 'Run');
      await window.message('running the tests');
      await until('the sandbox', () => sandboxes(folders.home).length > 0);
      await window.screenshot('repair-progress');
      await window.press('running the tests', 'Cancel');
      await until('the end of the sandbox', () => sandboxes(folders.home).length === 0);
      must((await window.line(FAULTY_LINE)).includes('number > BUG'), await window.line(FAULTY_LINE));
      must((await window.page.locator('.tab.active.dirty').count()) === 0, 'the file was touched');
    }],
  ];
}
