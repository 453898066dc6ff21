// One start of the editor: the suite inside of its extension host, then what a person sees.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { check, record, until } from './checks.mjs';
import { CodeServer } from './codeServer.mjs';
import { askedFile, settingsFile, writeSettings } from './folders.mjs';
import { Window } from './page.mjs';

/** The whole suite takes seconds on an idle machine. */
const SUITE_PATIENCE_MS = 600_000;

/** Install extensions for the sessions of this run. */
export function install(run, ...extensions) {
  const editor = new CodeServer(run, { suite: 'none' }, {});
  extensions.forEach((vsix) => editor.install(vsix));
}

/** Start the editor on `workspace` with the scripted server and settings for it, and check. */
export async function session(run, { suite, workspace, file, machine = {} }, checksIn) {
  const results = join(run.folders.home, `results-${suite}.json`);
  rmSync(settingsFile(run.folders), { force: true });
  const always = { 'riskLsp.repairSeconds': 600, 'riskLsp.learnFromEdits': false }; // numbers follow from the text alone
  writeSettings(run.folders, { 'riskLsp.server.command': scripted(run), ...always, ...machine });
  const editor = new CodeServer(
    run,
    { suite, workspace },
    {
      RISK_LSP_HOST_SUITE: suite,
      RISK_LSP_HOST_RESULTS: results,
      RISK_LSP_SETTINGS: settingsFile(run.folders),
      RISK_LSP_ASKED: askedFile(run.folders),
    },
  );
  await editor.start();
  const window = await Window.open(run.artefacts);
  try {
    await window.load(editor.url(file));
    const ends = () => until('it', () => existsSync(results), SUITE_PATIENCE_MS);
    await check(`${suite}: the suite inside of the extension host ends`, ends, () =>
      window.screenshot(`failed-${suite}`),
    );
    if (existsSync(results)) {
      JSON.parse(readFileSync(results, 'utf8')).forEach(record);
    }
    const failed = (name) => window.screenshot(`failed-${name.replaceAll(/\W+/g, '-')}`);
    for (const [name, body] of checksIn(window)) {
      await check(name, body, failed);
    }
  } finally {
    await window.close();
    await editor.stop();
  }
}

/**
 * The real server with a model whose numbers follow from the text by rule. One that is `watched` leaves a file when it starts
 * a sandbox, see lib/folders.mjs.
 */
export function scripted({ root, folders }, { watched = false } = {}) {
  const python = join(root, '.venv', 'bin', 'python');
  const path = watched ? [`PATH=${folders.programs}:/usr/bin:/bin`] : [];
  return ['/usr/bin/env', `PYTHONPATH=${root}`, ...path, python, '-m', 'tests.server.scripted_server', folders.scripted];
}
