import { languages, type TextDocument } from 'vscode';
import { config } from './config';
import { documentSelector } from './selector';

/** Whether the server is asked about a document. */
export function isScored(document: TextDocument): boolean {
  return languages.match(documentSelector(config.languages()), document) > 0;
}
