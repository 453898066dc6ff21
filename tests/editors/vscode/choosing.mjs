// A person chooses a model: the server of tests/editors/model_choice.py has a built-in one, and "small", which can be fetched.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, until } from './lib/checks.mjs';
import { changeSettings } from './lib/folders.mjs';
import { serverProcesses } from './lib/processes.mjs';

/** Later a message that nobody has answered is in the notification centre alone. */
const FADED_MS = 16_000;
const CHOOSE = 'Risk: Choose a Model...';

export function choosingChecks(window, folders, root) {
  const python = join(root, '.venv', 'bin', 'python');
  const prepared = join(folders.home, 'models');
  const choice = join(prepared, 'store', 'in-use.json');
  const program = (step) => [python, '-m', 'tests.editors.model_choice', step, prepared];
  return [
    ['the picker says of each model its size, licence, and what reads it, and ticks the one in use', async () => {
      mkdirSync(prepared);
      const [command, ...args] = program('prepare');
      execFileSync(command, args, { cwd: root, stdio: 'ignore' });
      await window.command('View: Close All Editor Groups'); // the old server's underlines go with them
      const before = serverProcesses(folders.home);
      changeSettings(folders, {
        'riskLsp.server.command': ['/usr/bin/env', `PYTHONPATH=${root}`, ...program('serve')],
        'riskLsp.threshold': 0,
      });
      await until('the new server', () => serverProcesses(folders.home).some((id) => !before.includes(id)));
      await window.openFile('sample.py');
      await until('underlines', async () => (await window.underlines()) > 0, 300_000);
      await window.command(CHOOSE);
      const choices = await window.choices('small');
      await window.screenshot('models');
      await window.shut();
      must(/built-in[^]*in use/.test(choices[0]), choices[0]);
      must(/small[^]*0 MB, Apache-2.0[^]*to fetch[^]*read by the bundle precise/.test(choices[1]), choices[1]);
    }],

    ['nothing is fetched before the person has agreed, who has all the time there is', async () => {
      await window.command(CHOOSE);
      await window.pick('small');
      const question = await window.dialog('may A small model be fetched?');
      await window.screenshot('models-consent');
      must(question.includes('somebody/models') && question.includes('Apache-2.0'), question);
      await window.page.waitForTimeout(FADED_MS);
      await window.decide('may A small model be fetched?', 'Not now');
      // A fourth message within 0.8 seconds is only in the notification centre. Progress is shown for that long at least.
      await window.gone('risk-lsp model');
      must(!existsSync(join(prepared, 'store', 'small')), 'it was fetched');
    }],

    ['a model that is chosen is fetched and used by the server that runs', async () => {
      const before = serverProcesses(folders.home);
      await window.command(CHOOSE);
      await window.pick('small');
      await window.decide('may A small model be fetched?', 'Fetch 0 MB');
      await until('the choice', () => existsSync(choice) && readFileSync(choice, 'utf8').includes('precise'));
      await until('underlines', async () => (await window.underlines()) > 0, 300_000);
      await window.command(CHOOSE);
      const choices = await window.choices('small');
      await window.screenshot('models-after');
      await window.shut();
      must(/small[^]*in use/.test(choices[1]), choices[1]);
      must(String(serverProcesses(folders.home)) === String(before), 'it is another server');
    }],
  ];
}
