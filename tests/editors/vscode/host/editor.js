// The editor's interfaces in the words of the suite.
const { readdirSync, readFileSync } = require('node:fs');
const path = require('node:path');
const vscode = require('vscode');

const PATIENCE_MS = 150_000; // a busy machine is many times slower than an idle one

/** Wait until `look` gives something true; that is returned. */
exports.until = async (what, look) => {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) {
      return found;
    }
    if (Date.now() > end) {
      throw new Error(`waited too long for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

exports.open = (name) => exports.openIn(vscode.workspace.workspaceFolders[0], name);

exports.openIn = async (folder, name) => {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.joinPath(folder.uri, name));
  const editor = await vscode.window.showTextDocument(document);
  editor.selection = new vscode.Selection(0, 0, 0, 0);
  return document;
};

/** Put the cursor at the beginning of a line. */
exports.goTo = (line) => exports.select(line, line);

/** Select from the beginning of a line to that of another. */
exports.select = (first, last) => {
  vscode.window.activeTextEditor.selection = new vscode.Selection(first, 0, last, 0);
};

/** Ids of the servers that run for this editor, whose home no other process has. */
exports.servers = () => {
  const isOurs = (id) => {
    try {
      const command = readFileSync(`/proc/${id}/cmdline`, 'utf8');
      const environment = readFileSync(`/proc/${id}/environ`, 'utf8').split('\0');
      return command.includes('scripted_server') && environment.includes(`HOME=${process.env.HOME}`);
    } catch {
      return false; // It ended meanwhile.
    }
  };
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter(isOurs).map(Number);
};

/** What the newest of the model's processes was started with. */
exports.lastLoad = () =>
  readFileSync(path.join(process.env.HOME, 'scripted', 'loads'), 'utf8').trimEnd().split('\n').at(-1);

exports.close = () => vscode.commands.executeCommand('workbench.action.closeActiveEditor');

exports.newest = (document) =>
  vscode.languages
    .getDiagnostics(document.uri)
    .filter(({ source }) => source === 'risk-lsp')
    .sort((a, b) => a.range.start.line - b.range.start.line);

/** The hints of a document once there are so many of them. */
exports.risks = async (document, count) => {
  await exports.until(
    `${count} hints in ${document.fileName}`,
    () => exports.newest(document).length === count,
  );
  return exports.newest(document);
};

exports.edit = async (document, describe) => {
  const change = new vscode.WorkspaceEdit();
  describe(change);
  await vscode.workspace.applyEdit(change);
};

exports.settings = (name, value) =>
  vscode.workspace.getConfiguration('riskLsp').update(name, value, vscode.ConfigurationTarget.Global);
