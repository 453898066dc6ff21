// What the extension does, by the editor's own interfaces. Lines with BUG are the likely ones: see
// tests/server/scripted_worker.py.
const assert = require('node:assert/strict');
const vscode = require('vscode');
const { close, edit, goTo, lastLoad, newest, open, risks, select, servers, settings, until } = require('./editor.js');

const LIKELY = /^63% likely to need an edit/;
const GENERATED = [
  'def weighted_mean(values, weights):',
  '    total = sum(value * weight for value, weight in zip(values, weights))',
  '    whole = sum(weights)',
  '    return total / whole if whole else "BUG"',
  '',
  '',
].join('\n');

exports.suite = [
  ['a likely line gets a hint, others do not', async () => {
    const document = await open('sample.py');
    const [hint] = await risks(document, 1);
    assert.equal(hint.range.start.line, 4);
    assert.equal(hint.severity, vscode.DiagnosticSeverity.Hint);
    assert.match(hint.message, LIKELY);
  }],

  ['hover says the probability, but not where the hint itself does', async () => {
    const document = await open('sample.py');
    await risks(document, 1);
    const hoverAt = async (character) => {
      const place = new vscode.Position(4, character);
      const hovers = await vscode.commands.executeCommand('vscode.executeHoverProvider', document.uri, place);
      return hovers.flatMap(({ contents }) => contents.map(({ value }) => value)).join('\n');
    };
    assert.match(await hoverAt(12), /^Most of the \*\*63%\*\* chance of an edit comes from/);
    const atDots = await hoverAt(5);
    assert.match(atDots, /^Most of it comes from/);
    assert.doesNotMatch(atDots, /63%/);
  }],

  ...['emoji.py', 'cjk.py', 'combining.py', 'crlf.py', 'formfeed.py'].map((name) => [
    `hints are on the right characters: ${name}`,
    async () => {
      const document = await open(name);
      const expected = [...document.getText().matchAll(/\S[^\r\n]*BUG[^\r\n]*/g)].map(([text]) => text.trimEnd());
      const hints = await risks(document, expected.length);
      assert.deepEqual(hints.map(({ range }) => document.getText(range)), expected);
    },
  ]),

  ['hints follow an edit', async () => {
    const document = await open('edited.py');
    await risks(document, 1);
    await edit(document, (change) => change.insert(document.uri, new vscode.Position(0, 0), 'first = "BUG"\n'));
    assert.deepEqual((await risks(document, 2)).map(({ range }) => range.start.line), [0, 2]);
  }],

  ['hints go when the likely line goes', async () => {
    const document = await open('edited.py');
    await edit(document, (change) => change.delete(document.uri, new vscode.Range(0, 0, document.lineCount, 0)));
    await risks(document, 0);
    await document.save(); // An unsaved file would ask a question when it is closed.
  }],

  ['next and previous risky line go around the end of the file', async () => {
    const document = await open('three.py');
    await risks(document, 3);
    const visited = [];
    for (const name of ['next', 'next', 'next', 'next', 'previous', 'previous']) {
      await vscode.commands.executeCommand(`risk-lsp.${name}RiskyLine`);
      visited.push(vscode.window.activeTextEditor.selection.active.line);
    }
    assert.deepEqual(visited, [1, 3, 5, 1, 5, 3]);
  }],

  ['code actions offer two ways to ignore a likely line', async () => {
    const document = await open('three.py');
    const [{ range }] = await risks(document, 3);
    const offered = await vscode.commands.executeCommand('vscode.executeCodeActionProvider', document.uri, range);
    const titles = offered.map(({ title }) => title).filter((title) => /^Ignore this line/.test(title));
    assert.deepEqual(titles, ['Ignore this line (comment)', 'Ignore this line (remember)']);
  }],

  ['a line is ignored by a comment, and heard again without it', async () => {
    const document = await open('three.py');
    await risks(document, 3);
    await goTo(1);
    await vscode.commands.executeCommand('risk-lsp.ignoreHere', 'source');
    await risks(document, 2);
    assert.match(document.lineAt(1).text, /^b = "BUG" +# risk: ignore$/);
    await vscode.commands.executeCommand('undo');
    await risks(document, 3);
  }],

  ['a line is ignored for oneself until one ends that by a code action', async () => {
    const document = await open('three.py');
    const [{ range }] = await risks(document, 3);
    await goTo(1);
    await vscode.commands.executeCommand('risk-lsp.ignoreHere', 'stored');
    await risks(document, 2);
    assert.equal(document.isDirty, false);
    const offered = await vscode.commands.executeCommand('vscode.executeCodeActionProvider', document.uri, range);
    const { command } = offered.find(({ title }) => /stop ignoring/i.test(title));
    await vscode.commands.executeCommand(command.command, ...command.arguments);
    await risks(document, 3);
  }],

  ['snoozed it shows nothing until the snooze is ended', async () => {
    const document = await open('three.py');
    await risks(document, 3);
    await vscode.commands.executeCommand('risk-lsp.snooze', 5);
    await risks(document, 0);
    await vscode.commands.executeCommand('risk-lsp.snooze', 0);
    await risks(document, 3);
  }],

  ['only what was generated in the editor is pointed at when that is wanted', async () => {
    const document = await open('generated.py');
    await risks(document, 1);
    await settings('scope', 'generated');
    await risks(document, 0);
    await edit(document, (change) => change.insert(document.uri, new vscode.Position(1, 0), GENERATED));
    assert.deepEqual((await risks(document, 1)).map(({ range }) => range.start.line), [4]);

    await select(0, 1); // The person says otherwise, in both directions.
    await vscode.commands.executeCommand('risk-lsp.markGenerated');
    await risks(document, 2);
    await select(1, 6);
    await vscode.commands.executeCommand('risk-lsp.unmarkGenerated');
    assert.deepEqual((await risks(document, 1)).map(({ range }) => range.start.line), [0]);

    await settings('scope', undefined);
    await risks(document, 2);
    await document.save();
  }],

  ['analysed at once by command, whatever the quiet period', async () => {
    const document = await open('three.py');
    await risks(document, 3);
    await settings('debounce', 60);
    await edit(document, (change) => change.insert(document.uri, new vscode.Position(0, 0), 'new = "BUG"\n'));
    await vscode.commands.executeCommand('risk-lsp.analyseNow');
    await risks(document, 4);
    await settings('debounce', 0.1);
    await vscode.commands.executeCommand('undo');
    await risks(document, 3);
  }],

  ['restarted by command it is another server', async () => {
    const document = await open('three.py');
    await risks(document, 3);
    const [before] = servers();
    await vscode.commands.executeCommand('risk-lsp.restart');
    await until('another server alone', () => servers().length === 1 && servers()[0] !== before);
    await risks(document, 3);
  }],

  ['a killed server comes back by itself', async () => {
    const document = await open('three.py');
    await risks(document, 3);
    const before = servers();
    assert.equal(before.length, 1);
    process.kill(before[0], 'SIGKILL');
    for (let count = 0; count < 5; count += 1) { // What is sent to a server that is gone cannot be sent.
      await edit(document, (change) => change.insert(document.uri, new vscode.Position(0, 0), 'new = "BUG"\n'));
    }
    await until('a new server', () => servers().some((id) => id !== before[0]));
    await risks(document, 8);
    for (let count = 0; count < 5; count += 1) {
      await vscode.commands.executeCommand('undo');
    }
    await risks(document, 3);
  }],

  ['a threshold takes effect without a restart', async () => {
    const document = await open('three.py');
    await settings('threshold', 0.9);
    await risks(document, 0);
    await settings('threshold', undefined);
    await risks(document, 3);
  }],

  ["the user's choice of the model's threads reaches the running server", async () => {
    const document = await open('three.py');
    await risks(document, 3);
    const before = servers();
    await settings('threads', 2);
    await until('a model with two threads', () => lastLoad().includes("'threads': 2"));
    await settings('threads', undefined);
    await until('a model with its own choice', () => lastLoad().includes("'threads': None"));
    assert.deepEqual(servers(), before);
    await risks(document, 3);
  }],

  ['turned off it shows nothing, and on again it does', async () => {
    const document = await open('three.py');
    await settings('enabled', false);
    await risks(document, 0);
    await settings('enabled', undefined);
    await risks(document, 3);
  }],

  ['probabilities are written at the ends of likely lines when that is wanted', async () => {
    const document = await open('three.py');
    const whole = new vscode.Range(0, 0, document.lineCount, 0);
    const inLine = () => vscode.commands.executeCommand('vscode.executeInlayHintProvider', document.uri, whole);
    await risks(document, 3);
    assert.equal((await inLine()).length, 0);
    await settings('inlayHints', true);
    const hints = await until('inlay hints', async () => ((await inLine()).length === 3 ? inLine() : null));
    assert.deepEqual(hints.map(({ label, position }) => [label, position.line, position.character]), [
      ['63%', 1, 9],
      ['63%', 3, 9],
      ['63%', 5, 9],
    ]);
    await settings('inlayHints', undefined);
    await until('inlay hints to go', async () => (await inLine()).length === 0);
  }],

  ['functions have a code lens when that is wanted', async () => {
    const document = await open('sample.py');
    await risks(document, 1);
    const above = () => vscode.commands.executeCommand('vscode.executeCodeLensProvider', document.uri, 10);
    assert.equal((await above()).length, 0);
    await settings('codeLens', true);
    const [lens] = await until('code lenses', async () => ((await above()).length === 1 ? above() : null));
    assert.match(lens.command.title, /71%/);
    await settings('codeLens', undefined);
    await until('code lenses to go', async () => (await above()).length === 0);
  }],

  ['a document in another language is left alone unless it is asked for', async () => {
    const document = await open('notes.txt');
    await risks(await open('sample.py'), 1);
    assert.equal(newest(document).length, 0);
    await settings('languages', ['python', 'plaintext']);
    await risks(document, 1);
    await settings('languages', undefined);
    await until('the hints of the text file to go', () => newest(document).length === 0);
  }],

  ['cells of a notebook are scored, and each has its own hints', async () => {
    const cells = ['a = 1', 'b = "BUG"'].map(
      (text) => new vscode.NotebookCellData(vscode.NotebookCellKind.Code, text, 'python'),
    );
    const notebook = await vscode.workspace.openNotebookDocument('jupyter-notebook', new vscode.NotebookData(cells));
    await vscode.window.showNotebookDocument(notebook);
    const [first, second] = notebook.getCells().map(({ document }) => document);
    assert.deepEqual((await risks(second, 1)).map(({ range }) => second.getText(range)), ['b = "BUG"']);
    assert.equal(newest(first).length, 0);
    await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
    await until('the hints of the cell to go', () => newest(second).length === 0);
  }],

  ['closing a document takes its hints away', async () => {
    const document = await open('sample.py');
    await risks(document, 1);
    await close();
    await until('hints to go', () => newest(document).length === 0);
  }],

  ['toggling the heat map changes its setting', async () => {
    const value = () => vscode.workspace.getConfiguration('riskLsp').get('heatMap.enabled');
    await vscode.commands.executeCommand('risk-lsp.toggleHeatMap');
    assert.equal(value(), false);
    await vscode.commands.executeCommand('risk-lsp.toggleHeatMap');
    assert.equal(value(), true);
  }],

  ['every command of the palette is there', async () => {
    const { contributes } = vscode.extensions.getExtension('risk-lsp.risk-lsp').packageJSON;
    const present = await vscode.commands.getCommands(true);
    assert.deepEqual(contributes.commands.map(({ command }) => command).filter((name) => !present.includes(name)), []);
  }],
];
