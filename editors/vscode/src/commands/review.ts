import * as path from 'node:path';
import { Range, Uri, window, workspace } from 'vscode';
import type { ReviewAnswer, ReviewedLine } from '../protocol';
import type { Server } from '../server/server';

/** List what was generated since the last commit, the likeliest to need an edit first, and go to the line that is chosen. */
export async function reviewGenerated(server: Server): Promise<void> {
  const document = window.activeTextEditor?.document;
  const uri = document ? server.uri(document.uri) : null;
  const answer = await server.executeWithProgress<ReviewAnswer>('riskLsp.reviewGenerated', uri);
  if (!answer) {
    return; // it was cancelled
  }
  if (answer.lines.length === 0) {
    void window.showInformationMessage(`risk-lsp: ${answer.message}.`);
    return;
  }
  const items = answer.lines.map((line) => ({
    label: `${line.label}  ${line.text}`,
    description: placeOf(line),
    line,
  }));
  const options = { title: answer.message, placeHolder: 'Go to a line', matchOnDescription: true };
  const chosen = await window.showQuickPick(items, options);
  if (chosen) {
    const { start } = chosen.line.range;
    const selection = new Range(start.line, start.character, start.line, start.character);
    await window.showTextDocument(Uri.parse(chosen.line.uri), { selection });
  }
}

function placeOf({ uri, range }: ReviewedLine): string {
  const file = workspace.asRelativePath(Uri.parse(uri));
  return `${file.split(path.sep).join('/')}:${range.start.line + 1}`;
}
