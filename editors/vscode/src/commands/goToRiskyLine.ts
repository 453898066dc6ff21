import { Position, Selection, TextEditorRevealType, window } from 'vscode';
import { hintsOf } from '../hints';
import { lineToGoTo } from './navigation';

/** Move the cursor to the next or previous of the lines that the server points out. */
export function goToRiskyLine(forward: boolean): void {
  const editor = window.activeTextEditor;
  if (!editor) {
    return;
  }
  const hints = hintsOf(editor.document.uri);
  const starts = new Map(hints.map(({ range }) => [range.start.line, range.start.character]));
  const line = lineToGoTo([...starts.keys()], editor.selection.active.line, forward);
  if (line === undefined) {
    window.setStatusBarMessage('No line of this file stands out.', 3000);
    return;
  }
  const place = new Position(line, starts.get(line) ?? 0);
  editor.selection = new Selection(place, place);
  editor.revealRange(editor.selection, TextEditorRevealType.InCenterIfOutsideViewport);
}
