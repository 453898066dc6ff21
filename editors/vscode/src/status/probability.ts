import { Disposable, type Selection, StatusBarAlignment, type TextEditor, window, workspace } from 'vscode';
import { config, SECTION } from '../config';
import { isScored } from '../documents';
import { percent } from '../percent';
import { QUERY, type QueryAnswer } from '../protocol';
import type { Server } from '../server/server';

/** Long enough to skip what a held arrow key passes over, too short to be noticed. */
const DEBOUNCE_MS = 80;

/** The probability of the selection, or of the cursor's line, in the status bar. No question runs the model. */
export class ProbabilityItem implements Disposable {
  private readonly item = window.createStatusBarItem('riskLsp.probability', StatusBarAlignment.Right, 100);
  private readonly disposables: Disposable[];
  private timer: NodeJS.Timeout | undefined;
  private newest = 0;

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
    const answer = await this.server.ask<QueryAnswer>(QUERY, {
      uri: this.server.uri(editor.document.uri),
      ranges: [rangeOf(editor, selection)],
    });
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

  private hasNumbers(): boolean {
    return this.server.isRunning && ['ready', 'analysing'].includes(this.server.status.state);
  }

  private show(editor: TextEditor, selection: Selection, probability: number): void {
    const isBlank = selection.isEmpty && editor.document.lineAt(selection.active.line).isEmptyOrWhitespace;
    const what = selection.isEmpty ? 'Line' : 'Selection';
    this.item.text = `${what} ${isBlank ? '–' : percent(probability)}`;
    this.item.tooltip = `Probability that the ${what.toLowerCase()} needs an edit`;
    this.item.show();
  }
}

function rangeOf(editor: TextEditor, selection: Selection): { start: object; end: object } {
  const { start, end } = selection.isEmpty ? editor.document.lineAt(selection.active.line).range : selection;
  const plain = ({ line, character }: typeof start) => ({ line, character });
  return { start: plain(start), end: plain(end) };
}
