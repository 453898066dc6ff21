// A language model of the editor's, as other extensions bring one: it writes `best` where the program says `BUG`, and notes
// what it was asked.
const { appendFileSync } = require('node:fs');
const vscode = require('vscode');

const MODEL = { id: 'scripted', name: 'Scripted', family: 'scripted', version: '1', capabilities: {} };
const LIMITS = { maxInputTokens: 10_000, maxOutputTokens: 10_000 };

exports.offerModel = (file) =>
  vscode.lm.registerLanguageModelChatProvider('risk-lsp-tests', {
    provideLanguageModelChatInformation: () => [{ ...MODEL, ...LIMITS }],
    provideTokenCount: (_, text) => (typeof text === 'string' ? text : textOf(text)).length,
    provideLanguageModelChatResponse: (_, messages, __, progress) => {
      const texts = messages.map(textOf);
      appendFileSync(file, `${JSON.stringify(texts)}\n`);
      const program = /```python\n(.*?)```/s.exec(texts.at(-1))[1];
      for (const piece of ['The name is wrong.\n```python\n', program.replace('BUG', 'best'), '```\n']) {
        progress.report(new vscode.LanguageModelTextPart(piece));
      }
    },
  });

const textOf = ({ content }) => content.map(({ value }) => value).join('');
