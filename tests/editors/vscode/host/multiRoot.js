// Two folders of one workspace: documents, settings and hints of each. The scripted server's lines say BUG (63%) and MAYBE
// (22%); see TWO_FOLDERS in lib/samples.mjs for what the folders set.
const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const vscode = require('vscode');
const { edit, newest, openIn, risks, until } = require('./editor.js');

const folder = (name) => vscode.workspace.workspaceFolders.find((each) => each.name === name);

/** Change a setting of a folder, in the folder's own settings.json. */
const set = (name, setting, value) =>
  vscode.workspace
    .getConfiguration('riskLsp', folder(name).uri)
    .update(setting, value, vscode.ConfigurationTarget.WorkspaceFolder);

const lines = (hints) => hints.map(({ range }) => range.start.line);
const modelRuns = () => readFileSync(path.join(process.env.HOME, 'scripted', 'runs'), 'utf8').split('\n').length;

const putFirst = (document, text) =>
  edit(document, (change) => change.insert(document.uri, new vscode.Position(0, 0), text));

/** Fails if the hints of `document` are others while `body` runs, if only for a moment. */
async function whileUnmoved(document, body) {
  const before = lines(newest(document));
  const seen = [];
  const listening = vscode.languages.onDidChangeDiagnostics(({ uris }) => {
    if (uris.some((uri) => uri.toString() === document.uri.toString())) {
      seen.push(lines(newest(document)));
    }
  });
  try {
    await body();
  } finally {
    listening.dispose();
  }
  assert.deepEqual([...seen, lines(newest(document))].filter((each) => String(each) !== String(before)), []);
}

exports.suite = [
  ['two folders: the hints of each document follow the settings of its folder', async () => {
    const low = await openIn(folder('low'), 'low.py');
    const few = await openIn(folder('few'), 'few.py');
    assert.equal(low.getText(), few.getText());
    assert.deepEqual(lines(await risks(low, 3)), [0, 1, 2]);
    assert.deepEqual(lines(await risks(few, 1)), [0]);
  }],

  ["two folders: a change of one folder's setting moves that folder's documents alone", async () => {
    const low = await openIn(folder('low'), 'low.py');
    const few = await openIn(folder('few'), 'few.py');
    await risks(low, 3);
    await risks(few, 1);
    const runs = modelRuns();
    await whileUnmoved(low, async () => {
      await set('few', 'maxDiagnostics', undefined);
      await risks(few, 2);
    });
    await whileUnmoved(few, async () => {
      await set('low', 'threshold', 0.9);
      await risks(low, 0);
      await set('low', 'threshold', 0.2);
      await risks(low, 3);
    });
    await set('few', 'maxDiagnostics', 1);
    await risks(few, 1);
    assert.equal(modelRuns(), runs, 'the texts are the same');
  }],

  ['two folders: one is turned off, and on again, while the other keeps its hints', async () => {
    const low = await openIn(folder('low'), 'low.py');
    const few = await openIn(folder('few'), 'few.py');
    await risks(low, 3);
    await risks(few, 1);
    await whileUnmoved(low, async () => {
      await set('few', 'enabled', false);
      await risks(few, 0);
      await set('few', 'enabled', undefined);
      await risks(few, 1);
    });
  }],

  ['two folders: one has probabilities at the ends of its lines, the other has none', async () => {
    const low = await openIn(folder('low'), 'low.py');
    const few = await openIn(folder('few'), 'few.py');
    const inlayHints = (document) =>
      vscode.commands.executeCommand('vscode.executeInlayHintProvider', document.uri, new vscode.Range(0, 0, 3, 0));
    await set('low', 'inlayHints', true);
    await until('inlay hints', async () => (await inlayHints(low)).length === 3);
    assert.equal((await inlayHints(few)).length, 0);
    await set('low', 'inlayHints', undefined);
    await until('inlay hints to go', async () => (await inlayHints(low)).length === 0);
  }],

  ['two folders: the quiet period of one is kept there, also by the status bar, and not in the other', async () => {
    const few = await openIn(folder('few'), 'few.py');
    await set('few', 'debounce', 60);
    await set('few', 'maxDiagnostics', 2);
    await risks(few, 2); // with the one setting the server has the other
    const runs = modelRuns();
    await putFirst(few, 'new = "BUG"\n');
    await new Promise((resolve) => setTimeout(resolve, 1_000)); // the status bar follows the cursor much faster
    const runsInQuiet = modelRuns() - runs;
    const low = await openIn(folder('low'), 'low.py');
    await putFirst(low, 'new = "BUG"\n');
    const hints = await risks(low, 4);
    await set('few', 'debounce', undefined);
    await set('few', 'maxDiagnostics', 1);
    for (const document of [low, few]) { // An unsaved file would ask a question when it is closed.
      await edit(document, (change) => change.delete(document.uri, new vscode.Range(0, 0, 1, 0)));
      await document.save();
    }
    await risks(low, 3);
    await risks(few, 1);
    assert.deepEqual([runsInQuiet, lines(hints)], [0, [0, 1, 2, 3]]);
  }],

  ['two folders: a document of a third has the settings of all until its folder is added', async () => {
    const third = vscode.Uri.file(path.join(path.dirname(folder('low').uri.fsPath), 'third'));
    const document = await vscode.workspace.openTextDocument(vscode.Uri.joinPath(third, 'third.py'));
    await vscode.window.showTextDocument(document);
    await risks(document, 2);
    assert.equal(vscode.workspace.updateWorkspaceFolders(2, 0, { uri: third }), true);
    assert.deepEqual(lines(await risks(document, 3)), [0, 1, 2]);
    vscode.workspace.updateWorkspaceFolders(2, 1);
    await risks(document, 2);
  }],
];
