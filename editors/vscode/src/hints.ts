import { type Diagnostic, languages, type Uri } from 'vscode';

const SOURCE = 'risk-lsp';

/** The lines of a document that the server points out. */
export function hintsOf(uri: Uri): Diagnostic[] {
  return languages.getDiagnostics(uri).filter(({ source }) => source === SOURCE);
}
