import * as path from 'node:path';
import { type Disposable, ViewColumn, type WebviewPanel, window } from 'vscode';
import type { ReportAnswer } from '../protocol';
import type { Server } from '../server/server';
import { reportPage } from './reportPage';

/** The report of the active document, beside it; one panel, used again. */
export class Report implements Disposable {
  private panel: WebviewPanel | undefined;

  constructor(private readonly server: Server) {}

  async show(): Promise<void> {
    const editor = window.activeTextEditor;
    if (!editor) {
      return;
    }
    const { uri } = editor.document;
    const { html } = await this.server.execute<ReportAnswer>('riskLsp.report', this.server.uri(uri));
    const panel = this.open();
    panel.title = `Risk: ${path.basename(uri.path)}`;
    panel.webview.html = reportPage(html);
  }

  dispose(): void {
    this.panel?.dispose();
  }

  private open(): WebviewPanel {
    if (this.panel) {
      this.panel.reveal(undefined, true);
      return this.panel;
    }
    const place = { viewColumn: ViewColumn.Beside, preserveFocus: true };
    const options = { enableScripts: false, enableCommandUris: false, localResourceRoots: [] };
    this.panel = window.createWebviewPanel('riskLsp.report', 'Risk', place, options);
    this.panel.onDidDispose(() => {
      this.panel = undefined;
    });
    return this.panel;
  }
}
