import { window } from 'vscode';
import type { Server } from '../server/server';

const WAYS = [
  {
    label: '$(bookmark) Remember it for me',
    detail: 'Leaves the file as it is; holds while this line and those around it stay alike.',
    where: 'stored',
  },
  {
    label: '$(comment) Write a comment',
    detail: 'Appends "risk: ignore" to the line, for everybody who reads the file.',
    where: 'source',
  },
] as const;

/** Have the cursor's line ignored, in the way that the person chooses or a key binding names. */
export async function ignoreHere(server: Server, where?: 'stored' | 'source'): Promise<void> {
  const editor = window.activeTextEditor;
  if (!editor) {
    return;
  }
  const { line } = editor.selection.active;
  const way = where ?? (await window.showQuickPick(WAYS, { placeHolder: `Ignore line ${line + 1}` }))?.where;
  if (way) {
    await server.execute('riskLsp.ignoreLine', server.uri(editor.document.uri), line, way);
  }
}
