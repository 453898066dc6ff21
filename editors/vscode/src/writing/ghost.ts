import {
  type DecorationOptions,
  Disposable,
  type InlineCompletionItem,
  type InlineCompletionList,
  type Position,
  Range,
  type TextDocument,
  ThemeColor,
  window,
  workspace,
} from 'vscode';
import type { WrittenRisk } from '../protocol';
import { wordsFor } from './words';

type Completions = InlineCompletionItem[] | InlineCompletionList | null | undefined;

/** By step: calm, worth a look, and what is likely to need an edit. */
const COLOURS = [
  'editorGhostText.foreground',
  'editorGhostText.foreground',
  'editorInfo.foreground',
  'editorWarning.foreground',
  'editorError.foreground',
];

/** Words behind a line with ghost text: how many of its lines are worth a look. The editor draws the text itself. */
export class GhostText implements Disposable {
  private readonly type = window.createTextEditorDecorationType({});
  private readonly listening: Disposable;

  constructor() {
    this.listening = Disposable.from(
      window.onDidChangeTextEditorSelection(() => this.hide()),
      workspace.onDidChangeTextDocument(() => this.hide()),
    );
  }

  /** Say what is known of texts that are offered at a place; nothing, if none are. */
  show(document: TextDocument, position: Position, completions: Completions): void {
    this.hide();
    const editor = window.activeTextEditor;
    const words = wordsFor(risksOf(completions));
    if (!words || editor?.document !== document || !editor.selection.active.isEqual(position)) {
      return;
    }
    const end = document.lineAt(position.line).range.end;
    const color = new ThemeColor(COLOURS[words.step] ?? 'editorError.foreground');
    const option: DecorationOptions = {
      range: new Range(end, end),
      renderOptions: { after: { contentText: words.text, color, margin: '0 0 0 3ch', fontStyle: 'italic' } },
    };
    editor.setDecorations(this.type, [option]);
  }

  dispose(): void {
    this.listening.dispose();
    this.type.dispose();
  }

  private hide(): void {
    for (const editor of window.visibleTextEditors) {
      editor.setDecorations(this.type, []);
    }
  }
}

function risksOf(completions: Completions): WrittenRisk[] {
  const items = Array.isArray(completions) ? completions : (completions?.items ?? []);
  return items.map(({ command }) => command?.arguments?.[2]).filter((risk) => risk !== undefined);
}
