// What an untrusted workspace may say, and what not. Its settings name a bundle, a number of threads, and a command.
const assert = require('node:assert/strict');
const vscode = require('vscode');
const { open, risks } = require('./editor.js');

exports.suite = [
  ['untrusted: the workspace is not trusted', () => assert.equal(vscode.workspace.isTrusted, false)],

  ['untrusted: hints are there, from the threshold on that the workspace sets', async () => {
    const document = await open('program.py');
    assert.deepEqual((await risks(document, 2)).map(({ range }) => range.start.line), [0, 1]);
  }],

  ['untrusted: what the workspace says of the model, the hardware and the command is not taken', () => {
    const configuration = vscode.workspace.getConfiguration('riskLsp');
    assert.equal(configuration.get('bundle'), 'default');
    assert.equal(configuration.get('threads'), 0);
    assert.notEqual(configuration.get('server.command')[0], '/bin/false');
    assert.equal(configuration.get('server.interpreter'), '');
  }],
];
