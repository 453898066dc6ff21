// Settings that the driver wants changed: {"name": value, ...} in a file; null takes a setting back.
const { readFileSync, watchFile } = require('node:fs');
const vscode = require('vscode');

exports.followSettings = (file) => {
  watchFile(file, { interval: 100 }, async () => {
    for (const [name, value] of Object.entries(JSON.parse(readFileSync(file, 'utf8')))) {
      await vscode.workspace.getConfiguration().update(name, value ?? undefined, vscode.ConfigurationTarget.Global);
    }
  });
};
