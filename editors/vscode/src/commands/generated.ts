import { window } from 'vscode';
import type { Server } from '../server/server';

/** Say that the selected code was, or was not, written by a model. */
export async function markGenerated(server: Server, isGenerated: boolean): Promise<void> {
  const editor = window.activeTextEditor;
  if (!editor) {
    return;
  }
  const { start, end } = editor.selection;
  const range = {
    start: { line: start.line, character: start.character },
    end: { line: end.line, character: end.character },
  };
  const command = isGenerated ? 'riskLsp.markGenerated' : 'riskLsp.unmarkGenerated';
  await server.execute(command, server.uri(editor.document.uri), range);
}
