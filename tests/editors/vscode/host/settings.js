// Settings that the driver wants changed: {"name": value, ...} in a file; null takes a setting back. A copy of it, FILE.done,
// says that every extension has been told.
const { readFileSync, renameSync, watchFile, writeFileSync } = require('node:fs');
const vscode = require('vscode');

exports.followSettings = (file) => {
  watchFile(file, { interval: 100 }, async () => {
    const changes = readFileSync(file, 'utf8');
    for (const [name, value] of Object.entries(JSON.parse(changes))) {
      await vscode.workspace.getConfiguration().update(name, value ?? undefined, vscode.ConfigurationTarget.Global);
    }
    writeFileSync(`${file}.writing`, changes);
    renameSync(`${file}.writing`, `${file}.done`);
  });
};
