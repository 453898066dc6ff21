import { type Hover, MarkdownString, type Position, type TextDocument, workspace } from 'vscode';
import { hintsOf } from '../hints';
import { isAtDots, withoutNumber } from './repetition';

/** The server's hover; where VS Code shows a hint's message above it, the number in that is not told again. */
export function belowHint(
  hover: Hover | null | undefined,
  document: TextDocument,
  position: Position,
): Hover | null | undefined {
  if (hover && isBelowHint(document, position)) {
    for (const content of hover.contents) {
      if (content instanceof MarkdownString) {
        content.value = withoutNumber(content.value);
      }
    }
  }
  return hover;
}

function isBelowHint(document: TextDocument, { line, character }: Position): boolean {
  const isShown = workspace.getConfiguration('problems', document).get('visibility', true);
  const starts = hintsOf(document.uri).map(({ range }) => range.start);
  return isShown && starts.some((start) => start.line === line && isAtDots(start.character, character));
}
