import {
  Disposable,
  type Position,
  type Selection,
  StatusBarAlignment,
  type TextEditor,
  window,
  workspace,
} from 'vscode';
import { config, SECTION } from '../config';
import { isScored } from '../documents';
import { LINES, type LinesAnswer, QUERY, type QueryAnswer } from '../protocol';
import type { Server } from '../server/server';
import { probabilityView } from './probabilityView';

/** Long enough to skip what a held arrow key passes over, too short to be noticed. */
const DEBOUNCE_MS = 80;

/** The probability of the selection, or of the cursor's line, in the status bar. No question runs the model. */
export class ProbabilityItem implements Disposable {
  private readonly item = window.createStatusBarItem('riskLsp.probability', StatusBarAlignment.Right, 101);
  private readonly disposables: Disposable[];
  private timer: NodeJS.Timeout | undefined;
  private newest = 0;
  /** Why the numbers may not hold for a version of a document, as the server said last. */
  private outside: { uri: string; version: number; reason: string | null } | undefined;

  constructor(private readonly server: Server) {
    this.item.name = 'risk-lsp: probability';
    this.item.command = 'risk-lsp.showMenu';
    this.disposables = [
      window.onDidChangeTextEditorSelection(
        ({ textEditor }) => textEditor === window.activeTextEditor && this.soon(),
      ),
      window.onDidChangeActiveTextEditor(() => this.soon()),
      workspace.onDidChangeConfiguration((event) => event.affectsConfiguration(SECTION) && this.soon()),
      server.onAnalysed(() => this.soon()),
      server.onDidChangeStatus(() => this.soon()),
    ];
  }

  dispose(): void {
    clearTimeout(this.timer);
    Disposable.from(...this.disposables, this.item).dispose();
  }

  private soon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.update(), DEBOUNCE_MS);
  }

  private async update(): Promise<void> {
    const editor = window.activeTextEditor;
    if (!editor || !isScored(editor.document) || !config.statusBarProbability() || !this.hasNumbers()) {
      this.item.hide();
      return;
    }
    this.newest += 1;
    const question = this.newest;
    const { selection } = editor;
    const uri = this.server.uri(editor.document.uri);
    const answer = await this.server.ask<QueryAnswer>(QUERY, { uri, ranges: [rangeOf(editor, selection)] });
    if (answer !== 'later' && answer !== 'none') {
      await this.askWhetherOutside(uri, answer.value.version);
    }
    if (question !== this.newest || answer === 'later') {
      return; // What is shown stays until a newer question is answered.
    }
    const probability = answer === 'none' ? undefined : answer.value.probabilities[0];
    if (probability === undefined) {
      this.item.hide();
    } else {
      this.show(editor, selection, probability);
    }
  }

  private async askWhetherOutside(uri: string, version: number): Promise<void> {
    if (this.outside?.uri === uri && this.outside.version === version) {
      return;
    }
    const answer = await this.server.ask<LinesAnswer>(LINES, { uri });
    if (answer !== 'later' && answer !== 'none') {
      this.outside = { uri, version: answer.value.version, reason: answer.value.outside };
    }
  }

  private hasNumbers(): boolean {
    return this.server.isRunning && ['ready', 'analysing'].includes(this.server.status.state);
  }

  private show(editor: TextEditor, selection: Selection, probability: number): void {
    const isBlank = selection.isEmpty && editor.document.lineAt(selection.active.line).isEmptyOrWhitespace;
    const view = probabilityView(
      selection.isEmpty,
      isBlank ? null : probability,
      this.outside?.reason ?? null,
    );
    this.item.text = view.text;
    this.item.tooltip = view.tooltip;
    this.item.show();
  }
}

/** The selection, or the cursor's line without the white space around it, as the server takes lines. */
function rangeOf(editor: TextEditor, selection: Selection): { start: object; end: object } {
  const plain = ({ line, character }: Position) => ({ line, character });
  if (!selection.isEmpty) {
    return { start: plain(selection.start), end: plain(selection.end) };
  }
  const { line } = selection.active;
  const { text, firstNonWhitespaceCharacterIndex: start } = editor.document.lineAt(line);
  return {
    start: { line, character: start },
    end: { line, character: Math.max(start, text.trimEnd().length) },
  };
}
