// Repairs by a model that is asked: the editor's own, brought by the tests' extension (host/model.js), and one at an endpoint.
import { readFileSync } from 'node:fs';
import { must, until } from './lib/checks.mjs';
import { askedFile, changeSettings, filesThatHold, settingsAreChanged } from './lib/folders.mjs';
import { serverProcesses } from './lib/processes.mjs';
import { FAULTY_LINE } from './lib/samples.mjs';

const KEY = 'sk-risk-lsp-tests-0123456789abcdef';

export function askingChecks(window, folders, endpoint, artefacts) {
  return [
    ["the editor's own model makes a repair, and reads the person's words", async () => {
      await chooseProvider(folders, 'editor');
      await window.openFile('by-editor.py');
      await window.waitForUnderlines(1);
      await window.goToLine(FAULTY_LINE);
      await window.codeAction('Request a repair of this line with a hint...');
      await window.answer('What do you think is wrong', 'the NAME is unknown');
      await window.decide('The command: python -m doctest', 'Run');
      await window.applyPreviewed();
      await until('the repair', async () => /number > best/.test(await window.line(FAULTY_LINE)));
      await window.save();
      const [question] = readFileSync(askedFile(folders), 'utf8').trim().split('\n').map(JSON.parse);
      for (const told of ['the NAME is unknown', 'line 9, 63%: ', 'python -m doctest by-editor.py']) {
        must(question.at(-1).includes(told), question.at(-1));
      }
    }],

    ['the key of an endpoint reaches it, and is in no settings and no other file', async () => {
      await chooseProvider(folders, 'endpoint');
      await window.command('Risk: Set the Key of the Repair Endpoint...');
      await window.answer(`For ${endpoint.url}.`, KEY);
      await window.openFile('by-endpoint.py');
      await window.waitForUnderlines(1);
      await window.goToLine(FAULTY_LINE);
      await window.command('Risk: Request a Repair');
      await window.decide('The command: python -m doctest', 'Run');
      await window.applyPreviewed();
      await until('the repair', async () => /number > best/.test(await window.line(FAULTY_LINE)));
      await window.save();
      must(String(endpoint.keys) === `Bearer ${KEY}`, `keys: ${endpoint.keys}`);
      const telling = filesThatHold(KEY, folders.home, artefacts);
      must(telling.length === 0, `the key is in ${telling}`);
      await chooseProvider(folders, null);
    }],
  ];
}

/** The server that runs hears of it. */
async function chooseProvider(folders, provider) {
  const before = serverProcesses(folders.home);
  changeSettings(folders, { 'riskLsp.repairProvider': provider });
  await until('the setting', () => settingsAreChanged(folders));
  must(String(serverProcesses(folders.home)) === String(before), 'it is another server');
}
