import { languages, Position, Selection, TextEditorRevealType, window } from 'vscode';
import { lineToGoTo } from './navigation';

const SOURCE = 'risk-lsp';

/** Move the cursor to the next or previous of the lines that the server points out. */
export function goToRiskyLine(forward: boolean): void {
  const editor = window.activeTextEditor;
  if (!editor) {
    return;
  }
  const shown = languages.getDiagnostics(editor.document.uri).filter(({ source }) => source === SOURCE);
  const starts = new Map(shown.map(({ range }) => [range.start.line, range.start.character]));
  const line = lineToGoTo([...starts.keys()], editor.selection.active.line, forward);
  if (line === undefined) {
    window.setStatusBarMessage('No line of this file stands out.', 3000);
    return;
  }
  const place = new Position(line, starts.get(line) ?? 0);
  editor.selection = new Selection(place, place);
  editor.revealRange(editor.selection, TextEditorRevealType.InCenterIfOutsideViewport);
}
