// The temporary home of one run: the editor's folders, the workspace, the settings.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { SAMPLES, STRANGERS, TWO_FOLDERS } from './samples.mjs';

const SETTINGS = {
  'workbench.startupEditor': 'none',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'security.workspace.trust.startupPrompt': 'never',
  'workbench.tips.enabled': false,
  'workbench.enableExperiments': false,
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'git.enabled': false,
  'chat.disableAIFeatures': true,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'files.autoSave': 'off',
  'editor.minimap.enabled': false,
  'editor.unusualLineTerminators': 'off',
  'riskLsp.debounce': 0.1,
};

export function makeFolders(root) {
  const home = mkdtempSync(join(tmpdir(), 'risk-lsp-vscode-'));
  const folders = {
    home,
    user: join(home, 'user'),
    extensions: join(home, 'extensions'),
    workspace: join(home, 'workspace'),
    stranger: join(home, 'stranger'),
    multiRoot: join(home, 'multi-root'),
    scripted: join(home, 'scripted'),
    programs: join(home, 'programs'),
  };
  for (const folder of [...Object.values(folders), join(folders.user, 'User'), join(folders.user, 'Machine')]) {
    mkdirSync(folder, { recursive: true });
  }
  fill(folders.workspace, SAMPLES);
  fill(folders.stranger, STRANGERS);
  fill(folders.multiRoot, TWO_FOLDERS);
  chmodSync(join(folders.stranger, '.venv', 'bin', 'risk-lsp'), 0o755);
  watchSandbox(folders);
  copyFileSync(join(root, 'examples', 'interval_merging.py'), join(folders.workspace, 'interval_merging.py'));
  return folders;
}

/**
 * A server that finds `bwrap` in `programs` leaves a file whenever it starts a sandbox. It runs no tests for real: the sandbox
 * needs its program a second time, inside, where this one is out of sight.
 */
function watchSandbox(folders) {
  const program = join(folders.programs, 'bwrap');
  writeFileSync(program, `#!/bin/sh\ntouch '${sandboxCanary(folders)}'\nexec /usr/bin/bwrap "$@"\n`);
  chmodSync(program, 0o755);
}

export const sandboxCanary = (folders) => join(folders.home, 'the-sandbox-has-started');

/** The settings that the editor starts with; `machine` says what runs. */
export function writeSettings(folders, machine) {
  write(join(folders.user, 'User', 'settings.json'), SETTINGS);
  write(join(folders.user, 'Machine', 'settings.json'), machine);
}

/** What the editor's own model was asked, one line of JSON for each question. */
export const askedFile = (folders) => join(folders.home, 'asked.jsonl');

export const settingsFile = (folders) => join(folders.home, 'changes.json');

/** Have settings changed while the editor runs, by the tests' own extension; null takes one back. */
export function changeSettings(folders, changes) {
  const file = settingsFile(folders);
  write(`${file}.new`, changes);
  renameSync(`${file}.new`, file);
}

/** Whether the last of these changes have been made, and the extension has been told. */
export function settingsAreChanged(folders) {
  const read = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  return read(`${settingsFile(folders)}.done`) === read(settingsFile(folders));
}

/** The files below some folders that hold a text. */
export function filesThatHold(text, ...folders) {
  return folders
    .flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((file) => readFileSync(file).includes(text));
}

function fill(folder, files) {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

function write(file, settings) {
  writeFileSync(file, `${JSON.stringify(settings, null, 2)}\n`);
}
