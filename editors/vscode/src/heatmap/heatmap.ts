import { Disposable, type TextDocument, type TextEditor, window, workspace } from 'vscode';
import { config, SECTION, set } from '../config';
import { isScored } from '../documents';
import { LINES, type LinesAnswer } from '../protocol';
import type { Server } from '../server/server';
import { Decorations } from './decorations';

/** The heat map of the visible editors. What is shown moves with the text until new numbers come. */
export class HeatMap implements Disposable {
  private decorations = new Decorations(config.gutter());
  private readonly disposables: Disposable[];
  private wasRunning = false;

  constructor(private readonly server: Server) {
    this.disposables = [
      window.onDidChangeVisibleTextEditors(() => this.refreshAll()),
      server.onAnalysed(({ uri }) => this.refresh((document) => document.uri.toString() === uri.toString())),
      server.onDidChangeStatus(() => this.serverChanged()),
      workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration(`${SECTION}.heatMap`)) {
          this.decorations.dispose();
          this.decorations = new Decorations(config.gutter());
          this.refreshAll();
        }
      }),
    ];
  }

  /** Turn it on or off, for good. */
  async toggle(): Promise<void> {
    await set('heatMap.enabled', !config.heatMap());
  }

  dispose(): void {
    Disposable.from(...this.disposables, this.decorations).dispose();
  }

  private serverChanged(): void {
    const isRunning =
      this.server.isRunning && !['starting', 'paused', 'off', 'failed'].includes(this.server.status.state);
    if (isRunning !== this.wasRunning) {
      this.wasRunning = isRunning;
      this.refreshAll();
    }
  }

  private refreshAll(): void {
    this.refresh(() => true);
  }

  private refresh(isMeant: (document: TextDocument) => boolean): void {
    for (const editor of window.visibleTextEditors.filter(({ document }) => isMeant(document))) {
      void this.show(editor);
    }
  }

  private async show(editor: TextEditor): Promise<void> {
    const { document } = editor;
    if (!config.heatMap() || !this.wasRunning || !isScored(document)) {
      this.decorations.paint(editor, []);
      return;
    }
    const answer = await this.server.ask<LinesAnswer>(LINES, { uri: this.server.uri(document.uri) });
    if (answer === 'later' || !config.heatMap()) {
      return;
    }
    if (answer === 'none') {
      this.decorations.paint(editor, []);
    } else if (answer.value.version === document.version) {
      this.decorations.paint(editor, answer.value.steps ?? []);
    }
  }
}
