import { Disposable, StatusBarAlignment, ThemeColor, window } from 'vscode';
import type { Status } from '../protocol';
import type { Server } from '../server/server';
import { viewOf } from './view';

/** Work shorter than this is not worth a change in the status bar. */
const PATIENCE_MS = 400;
const MINUTE_MS = 60_000;

/** The server's state in the status bar; a click opens the menu. */
export class StatusItem implements Disposable {
  private readonly item = window.createStatusBarItem('riskLsp.status', StatusBarAlignment.Right, 102);
  private readonly listener: Disposable;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly server: Server) {
    this.item.name = 'risk-lsp: state';
    this.item.command = 'risk-lsp.showMenu';
    this.listener = server.onDidChangeStatus((status) => this.changed(status));
  }

  dispose(): void {
    clearTimeout(this.timer);
    Disposable.from(this.listener, this.item).dispose();
  }

  private changed(status: Status): void {
    clearTimeout(this.timer);
    if (status.state === 'analysing') {
      this.timer = setTimeout(() => this.show(), PATIENCE_MS);
    } else {
      this.show();
    }
  }

  private show(): void {
    const view = viewOf(this.server.status, Date.now());
    this.item.text = view.text;
    this.item.tooltip = view.tooltip;
    this.item.backgroundColor = view.isAlarming ? new ThemeColor('statusBarItem.errorBackground') : undefined;
    this.item.show();
    if (this.server.status.until !== null) {
      this.timer = setTimeout(() => this.show(), MINUTE_MS);
    }
  }
}
