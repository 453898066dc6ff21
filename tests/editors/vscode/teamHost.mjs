// A team's host: the person's key comes from the editor's secret store, and stands nowhere else.
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { must, until } from './lib/checks.mjs';
import { changeSettings, filesThatHold, settingsAreChanged } from './lib/folders.mjs';

const URL = 'http://127.0.0.1:18443';

export function teamHostChecks(window, folders, root, artefacts) {
  return [
    ["the key of the team's host reaches it, and is in no settings and no other file", async () => {
      const program = join(root, '.venv', 'bin', 'risk-lsp');
      const keys = join(folders.home, 'host-keys.txt');
      const newKey = (name, ...kind) =>
        execFileSync(program, ['host', 'key', name, '--keys', keys, ...kind], { encoding: 'utf8' }).trim();
      const [key, reader] = [newKey('anna'), newKey('monitor', '--metrics')];
      const listen = ['--listen', URL.replace('http://', ''), '--keys', keys];
      const host = spawn(program, ['host', '--bundle', 'built-in', ...listen], { stdio: 'ignore' });
      const scored = async () => {
        const answer = await fetch(`${URL}/metrics`, { headers: { Authorization: `Bearer ${reader}` } });
        return (await answer.text()).includes('path="/v1/score",status="200"');
      };
      try {
        await until('the host', () => fetch(`${URL}/healthz`).then(({ ok }) => ok, () => false));
        await setHost(folders, URL);
        await window.message("there is no key for the team's host");
        must(!(await scored()), 'the host scored a text without a key');
        await window.command("Risk: Set Your Key for the Team's Host...");
        await window.answer(`For ${URL}.`, key);
        await window.openFile('sample.py');
        await until('numbers from the host', scored);
        await window.screenshot('team-host');
        const telling = filesThatHold(key, folders.home, artefacts);
        must(telling.length === 0, `the key is in ${telling}`);
      } finally {
        await setHost(folders, null);
        host.kill();
      }
    }],
  ];
}

async function setHost(folders, url) {
  changeSettings(folders, { 'riskLsp.remoteHost': url });
  await until('the setting', () => settingsAreChanged(folders));
}
