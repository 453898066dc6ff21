// Runs the checks once the editor is up, and writes what came of them for the driver; then takes settings from it. Brings a
// language model.
const { renameSync, writeFileSync } = require('node:fs');
const vscode = require('vscode');
const { offerModel } = require('./model.js');
const { followSettings } = require('./settings.js');
const suites = {
  trusted: require('./suite.js').suite,
  untrusted: require('./untrusted.js').suite,
  multiRoot: require('./multiRoot.js').suite,
  none: [],
};

/** So many failures are enough to see that something is broken; each waits for long. */
const ENOUGH = 3;

exports.activate = async (context) => {
  context.subscriptions.push(offerModel(process.env.RISK_LSP_ASKED));
  const results = [];
  for (const [name, check] of suites[process.env.RISK_LSP_HOST_SUITE]) {
    if (results.filter(({ passed }) => !passed).length >= ENOUGH) {
      results.push({ name, passed: false, message: 'not tried after so many failures' });
      continue;
    }
    try {
      await check();
      results.push({ name, passed: true });
    } catch (error) {
      results.push({ name, passed: false, message: String(error.stack ?? error) });
    }
  }
  await vscode.commands.executeCommand('workbench.action.closeAllEditors');
  followSettings(process.env.RISK_LSP_SETTINGS);
  const file = process.env.RISK_LSP_HOST_RESULTS;
  writeFileSync(`${file}.new`, JSON.stringify(results));
  renameSync(`${file}.new`, file); // The driver takes it as soon as it is there.
};
