import {
  Disposable,
  type Position,
  type Selection,
  StatusBarAlignment,
  type TextDocument,
  window,
  workspace,
} from 'vscode';
import { config, SECTION } from '../config';
import { isScored } from '../documents';
import { percent } from '../percent';
import { LINES, type LinesAnswer, QUERY, type QueryAnswer } from '../protocol';
import type { AnalysedDocument, Answer, Server } from '../server/server';
import { probabilityView } from './probabilityView';
import { QuietPeriod } from './quietPeriod';

/** Long enough to skip what a held arrow key passes over, too short to be noticed. */
const DEBOUNCE_MS = 80;

interface Found {
  /** "41%", or "1st"; null for a line without a number: it is blank, or ignored. */
  label: string | null;
  /** Why it is no percentage, or may not hold. */
  why: string | null;
}

/** The probability of the selection, or of the cursor's line, in the status bar. No question runs the model. */
export class ProbabilityItem implements Disposable {
  private readonly item = window.createStatusBarItem('riskLsp.probability', StatusBarAlignment.Right, 101);
  private readonly disposables: Disposable[];
  private readonly quiet = new QuietPeriod();
  private timer: NodeJS.Timeout | undefined;
  private newest = 0;
  /** What the server said last of a document's lines. */
  private lines: { uri: string; answer: LinesAnswer } | undefined;

  constructor(private readonly server: Server) {
    this.item.name = 'risk-lsp: probability';
    this.item.command = 'risk-lsp.showMenu';
    this.disposables = [
      window.onDidChangeTextEditorSelection(
        ({ textEditor }) => textEditor === window.activeTextEditor && this.soon(),
      ),
      window.onDidChangeActiveTextEditor(() => this.soon()),
      workspace.onDidChangeTextDocument(
        ({ document, contentChanges }) => contentChanges.length > 0 && this.edited(document),
      ),
      workspace.onDidChangeConfiguration((event) => event.affectsConfiguration(SECTION) && this.soon()),
      server.onAnalysed((analysed) => this.analysed(analysed)),
      server.onDidChangeStatus(() => this.statusChanged()),
    ];
  }

  dispose(): void {
    clearTimeout(this.timer);
    Disposable.from(...this.disposables, this.item).dispose();
  }

  private edited(document: TextDocument): void {
    if (document === window.activeTextEditor?.document) {
      this.quiet.begins(document.uri.toString(), Date.now());
      this.soon();
    }
  }

  private analysed({ uri, version }: AnalysedDocument): void {
    this.lines = undefined; // The same text may have other numbers: of a line that is ignored now, for example.
    const document = window.activeTextEditor?.document;
    if (document?.uri.toString() === uri.toString() && document.version === version) {
      this.quiet.ends();
    }
    this.soon();
  }

  private statusChanged(): void {
    if (!this.hasNumbers()) {
      this.lines = undefined; // Another server, or another model, may be next.
    }
    this.soon();
  }

  private soon(): void {
    const uri = window.activeTextEditor?.document.uri;
    const left = uri ? this.quiet.left(uri.toString(), Date.now(), 1000 * config.quietPeriod(uri)) : 0;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.update(), DEBOUNCE_MS + left);
  }

  private async update(): Promise<void> {
    const editor = window.activeTextEditor;
    if (!editor || !isScored(editor.document) || !config.statusBarProbability() || !this.hasNumbers()) {
      this.item.hide();
      return;
    }
    this.newest += 1;
    const question = this.newest;
    const { document, selection } = editor;
    const answer = await this.find(document, selection);
    if (question !== this.newest || answer === 'later') {
      return; // What is shown stays until a newer question is answered.
    }
    if (answer === 'none') {
      this.item.hide();
    } else {
      this.show(selection.isEmpty, answer.value);
    }
  }

  /** Of a line it is the number that hover and heat map go by; of a selection there is no other. */
  private async find(document: TextDocument, selection: Selection): Promise<Answer<Found>> {
    const uri = this.server.uri(document.uri);
    const lines = await this.linesOf(uri, document.version);
    if (lines === 'later' || lines === 'none') {
      return lines;
    }
    if (selection.isEmpty) {
      return { value: lineFound(lines.value, selection.active.line) };
    }
    const range = { start: plain(selection.start), end: plain(selection.end) };
    const answer = await this.server.ask<QueryAnswer>(QUERY, { uri, ranges: [range] });
    if (answer === 'later' || answer === 'none') {
      return answer;
    }
    const { labels, probabilities, standings } = answer.value;
    const label = labels?.[0] ?? orPercent(probabilities[0]);
    return { value: { label, why: standings?.[0]?.why ?? lines.value.outside } };
  }

  private async linesOf(uri: string, version: number): Promise<Answer<LinesAnswer>> {
    if (this.lines?.uri === uri && this.lines.answer.version === version) {
      return { value: this.lines.answer };
    }
    const answer = await this.server.ask<LinesAnswer>(LINES, { uri });
    if (answer !== 'later' && answer !== 'none') {
      this.lines = { uri, answer: answer.value };
    }
    return answer;
  }

  private hasNumbers(): boolean {
    return this.server.isRunning && ['ready', 'analysing'].includes(this.server.status.state);
  }

  private show(isLine: boolean, { label, why }: Found): void {
    const view = probabilityView(isLine, label, why);
    this.item.text = view.text;
    this.item.tooltip = view.tooltip;
    this.item.show();
  }
}

function lineFound({ labels, lines, orders, outside, places }: LinesAnswer, line: number): Found {
  const label = labels?.[line] ?? orPercent(lines[line]);
  return { label, why: outside ?? orders?.[places?.[line] ?? ''] ?? null };
}

function orPercent(probability: number | null | undefined): string | null {
  return probability === null || probability === undefined ? null : percent(probability);
}

function plain({ line, character }: Position): { line: number; character: number } {
  return { line, character };
}
