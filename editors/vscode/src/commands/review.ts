import * as path from 'node:path';
import {
  Diagnostic,
  DiagnosticSeverity,
  type Disposable,
  languages,
  Range,
  Uri,
  window,
  workspace,
} from 'vscode';
import type { ReviewAnswer, ReviewedLine } from '../protocol';
import type { Server } from '../server/server';

/** What was generated since the last commit, as one list, and among the problems of files that are not open. */
export class Review implements Disposable {
  private readonly problems = languages.createDiagnosticCollection('risk-lsp review');
  private readonly listening: Disposable;

  constructor(private readonly server: Server) {
    // The server itself says what is known of a file that is open.
    this.listening = workspace.onDidOpenTextDocument(({ uri }) => this.problems.delete(uri));
  }

  /** List the lines, the likeliest to need an edit first, and go to the one that is chosen. */
  async show(): Promise<void> {
    const document = window.activeTextEditor?.document;
    const uri = document ? this.server.uri(document.uri) : null;
    const answer = await this.server.executeWithProgress<ReviewAnswer>('riskLsp.reviewGenerated', uri);
    if (!answer) {
      return; // it was cancelled
    }
    this.list(answer.lines);
    if (answer.lines.length === 0) {
      void window.showInformationMessage(`risk-lsp: ${answer.message}.`);
      return;
    }
    const items = answer.lines.map((line) => ({
      label: `${line.label}  ${line.text}`,
      description: placeOf(line),
      line,
    }));
    const options = { title: answer.message, placeHolder: 'Go to a line', matchOnDescription: true };
    const chosen = await window.showQuickPick(items, options);
    if (chosen) {
      await window.showTextDocument(Uri.parse(chosen.line.uri), { selection: startOf(chosen.line) });
    }
  }

  dispose(): void {
    this.listening.dispose();
    this.problems.dispose();
  }

  private list(lines: readonly ReviewedLine[]): void {
    const open = new Set(workspace.textDocuments.map(({ uri }) => uri.toString()));
    const found = new Map<string, Diagnostic[]>();
    for (const line of lines) {
      const uri = Uri.parse(line.uri).toString();
      if (!open.has(uri)) {
        const problem = new Diagnostic(startOf(line), line.sentence, DiagnosticSeverity.Information);
        problem.source = 'risk-lsp';
        found.set(uri, [...(found.get(uri) ?? []), problem]);
      }
    }
    this.problems.clear();
    for (const [uri, problems] of found) {
      this.problems.set(Uri.parse(uri), problems);
    }
  }
}

function startOf({ range: { start } }: ReviewedLine): Range {
  return new Range(start.line, start.character, start.line, start.character);
}

function placeOf({ uri, range }: ReviewedLine): string {
  const file = workspace.asRelativePath(Uri.parse(uri));
  return `${file.split(path.sep).join('/')}:${range.start.line + 1}`;
}
