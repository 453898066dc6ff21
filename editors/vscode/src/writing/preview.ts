import {
  type CancellationToken,
  commands,
  type DecorationOptions,
  Disposable,
  Range,
  type TextDocument,
  type TextEditor,
  ThemeColor,
  type Uri,
  window,
  workspace,
} from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import type { GrowingText } from '../protocol';
import { rowsOf } from './rows';

const PREVIEW = 'riskLsp/preview';
const CONFIRM = 'riskLsp/confirmPreview';
const CANCEL = 'window/workDoneProgress/cancel';

/**
 * A text that the model writes, drawn below the line that it goes behind: the document stays as it is. Escape and every
 * edit cancel it; Tab takes it once it is finished.
 */
export class Preview implements Disposable {
  private readonly type = window.createTextEditorDecorationType({});
  private readonly listening: Disposable;
  private shown: { text: GrowingText; editor: TextEditor; cancel: () => void } | undefined;
  private decide: ((isAccepted: boolean) => void) | undefined;

  constructor() {
    this.listening = Disposable.from(
      commands.registerCommand('risk-lsp.acceptPreview', () => this.close(true)),
      commands.registerCommand('risk-lsp.cancelPreview', () => this.close(false)),
      workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (contentChanges.length > 0 && document === this.shown?.editor.document) {
          this.close(false);
        }
      }),
    );
  }

  /** Show what the server of this client writes. */
  listen(client: LanguageClient): void {
    client.onNotification(PREVIEW, (text: GrowingText) => {
      if (text.text !== null) {
        this.draw(client, text, 'writing, Escape cancels');
      } else if (text.token === this.shown?.text.token) {
        this.close(false);
      }
    });
    client.onRequest(CONFIRM, (text: GrowingText, token: CancellationToken) => {
      token.onCancellationRequested(() => this.close(false));
      return new Promise<{ accept: boolean }>((resolve) => {
        this.decide = (accept) => resolve({ accept });
        if (!this.draw(client, text, `${text.risk?.words}: Tab accepts, Escape dismisses`)) {
          this.close(false);
        }
      });
    });
  }

  /** Whether a text shows in a document: ghost text would stand among its lines. */
  isIn(document: TextDocument): boolean {
    return this.shown?.editor.document === document;
  }

  dispose(): void {
    this.close(false);
    this.listening.dispose();
    this.type.dispose();
  }

  /** Whether there is an editor to show it in. */
  private draw(client: LanguageClient, text: GrowingText, words: string): boolean {
    const uri = client.protocol2CodeConverter.asUri(text.uri);
    const editor = window.visibleTextEditors.find(({ document }) => sameUri(document.uri, uri));
    if (!editor || text.text === null || !text.range || editor.document.version !== text.version) {
      return false;
    }
    if (!this.shown) {
      void commands.executeCommand('editor.action.inlineSuggest.hide');
    }
    this.shown = {
      text,
      editor,
      cancel: () => void client.sendNotification(CANCEL, { token: text.token }),
    };
    this.say(); // first: a key that follows what is seen has to mean what is said
    const { line } = text.range.start;
    const end = editor.document.lineAt(line).range.end;
    const tabSize = Number(editor.options.tabSize) || 4;
    const rows = rowsOf(text.text, text.risk?.lines ?? [], tabSize);
    editor.setDecorations(this.type, [
      option(new Range(end, end), `   ${words}`, ''),
      ...rows.map(({ text: row, step }, index) =>
        option(new Range(end, end), row, below(index + (text.text?.startsWith('\n') ? 1 : 0), step)),
      ),
    ]);
    return true;
  }

  /** Take it from the screen, and tell the server unless it was told. */
  private close(isAccepted: boolean): void {
    const { shown, decide } = this;
    this.shown = undefined;
    this.decide = undefined;
    if (shown) {
      shown.editor.setDecorations(this.type, []);
      if (!decide) {
        shown.cancel();
      }
      this.say();
    }
    decide?.(isAccepted);
  }

  private say(): void {
    void commands.executeCommand('setContext', 'riskLsp.previewing', this.shown !== undefined);
    void commands.executeCommand('setContext', 'riskLsp.previewed', this.decide !== undefined);
  }
}

function option(range: Range, contentText: string, css: string): DecorationOptions {
  const color = new ThemeColor('editorGhostText.foreground');
  return {
    range,
    renderOptions: { after: { contentText, color, textDecoration: `none; white-space: pre;${css}` } },
  };
}

/** The style of a row so many lines below: decorations have no rows of their own, and this one hides what is there. */
function below(lines: number, step: number): string {
  const heat = `var(--vscode-riskLsp-heat${step}Background)`;
  const tint = step > 0 ? `background-image: linear-gradient(${heat}, ${heat});` : '';
  return `position: absolute; left: 0; top: calc(${lines} * 1lh); width: 100vw; z-index: 9;
    background-color: var(--vscode-editor-background); ${tint}`;
}

function sameUri(one: Uri, other: Uri): boolean {
  return one.toString() === other.toString();
}
