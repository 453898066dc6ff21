import { commands, type Disposable, EventEmitter, Uri, workspace } from 'vscode';

const SCHEME = 'risk-lsp-explanation';

/** Shows an explanation of the server's, which is markdown, beside the text; one page, used again. */
export class Explanation implements Disposable {
  private readonly changed = new EventEmitter<Uri>();
  private readonly page = Uri.from({ scheme: SCHEME, path: 'Risk.md' });
  private markdown = '';
  private readonly registration = workspace.registerTextDocumentContentProvider(SCHEME, {
    onDidChange: this.changed.event,
    provideTextDocumentContent: () => this.markdown,
  });

  async show(markdown: string): Promise<void> {
    this.markdown = markdown;
    this.changed.fire(this.page);
    await commands.executeCommand('markdown.showPreviewToSide', this.page);
  }

  dispose(): void {
    this.registration.dispose();
    this.changed.dispose();
  }
}
