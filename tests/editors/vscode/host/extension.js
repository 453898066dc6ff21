// Runs the checks once the editor is up, and writes what came of them for the driver; then takes settings from it.
const { writeFileSync } = require('node:fs');
const vscode = require('vscode');
const { followSettings } = require('./settings.js');
const { suite } = require('./suite.js');

exports.activate = async () => {
  const results = [];
  for (const [name, check] of suite) {
    try {
      await check();
      results.push({ name, passed: true });
    } catch (error) {
      results.push({ name, passed: false, message: String(error.stack ?? error) });
    }
  }
  await vscode.commands.executeCommand('workbench.action.closeAllEditors');
  followSettings(process.env.RISK_LSP_SETTINGS);
  writeFileSync(process.env.RISK_LSP_HOST_RESULTS, JSON.stringify(results));
};
