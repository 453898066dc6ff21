import {
  commands,
  type DecorationOptions,
  Disposable,
  type InlineCompletionItem,
  type InlineCompletionList,
  type Position,
  Range,
  type TextDocument,
  type TextEditor,
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
  private isShown = false;
  /** Where the words are, and in which version of the text. */
  private at: { document: TextDocument; version: number; position: Position } | undefined;

  constructor() {
    this.listening = Disposable.from(
      commands.registerCommand('risk-lsp.dismissGhost', async () => {
        this.hide();
        await commands.executeCommand('editor.action.inlineSuggest.hide');
      }),
      window.onDidChangeTextEditorSelection(({ textEditor }) => this.check(textEditor)),
      workspace.onDidChangeTextDocument(() => this.check(window.activeTextEditor)),
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
    this.at = { document, version: document.version, position };
    this.say(true);
  }

  dispose(): void {
    this.listening.dispose();
    this.type.dispose();
  }

  /** An extension does not hear that the editor's text was dismissed: while there are words, the key comes here. */
  private say(isShown: boolean): void {
    if (isShown !== this.isShown) {
      this.isShown = isShown;
      void commands.executeCommand('setContext', 'riskLsp.besideGhost', isShown);
    }
  }

  /** Hide the words unless text and cursor are as they were: an event may tell of what was so before. */
  private check(editor: TextEditor | undefined): void {
    const { at } = this;
    const isThere =
      at &&
      editor?.document === at.document &&
      at.document.version === at.version &&
      editor.selection.active.isEqual(at.position);
    if (!isThere) {
      this.hide();
    }
  }

  private hide(): void {
    this.at = undefined;
    this.say(false);
    for (const editor of window.visibleTextEditors) {
      editor.setDecorations(this.type, []);
    }
  }
}

function risksOf(completions: Completions): WrittenRisk[] {
  const items = Array.isArray(completions) ? completions : (completions?.items ?? []);
  return items.map(({ command }) => command?.arguments?.[2]).filter((risk) => risk !== undefined);
}
