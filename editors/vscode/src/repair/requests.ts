import { type CancellationToken, type ExtensionContext, type Uri, window } from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { chat } from './chat';
import { keyOf } from './key';

/** What this client offers to answer, as it says in its capabilities; see docs/protocol.md. */
export const OFFERS = {
  hint: true,
  consent: true,
  chat: true,
  secret: true,
  explanation: true,
  preview: true,
};

/** Answer what the server asks for: a hint, consent, the editor's model, the endpoint's key. Keys are added to `secrets`. */
export function answerRequests(
  client: LanguageClient,
  context: ExtensionContext,
  secrets: Set<string>,
): void {
  client.onRequest('riskLsp/askHint', ({ purpose }: { purpose?: string }, token: CancellationToken) =>
    askHint(purpose === 'body' ? BODY : REPAIR, token),
  );
  client.onRequest('riskLsp/askForConsent', askForConsent);
  client.onRequest('riskLsp/chat', chat);
  client.onRequest('riskLsp/secret', async ({ endpoint }: { endpoint: string }) => {
    const secret = await keyOf(context.secrets, endpoint);
    if (secret) {
      secrets.add(secret);
    }
    return { secret };
  });
}

const REPAIR = {
  title: 'Request a repair with a hint',
  prompt: 'What do you think is wrong, or what should it do?',
};
const BODY = { title: 'Write the body with a hint', prompt: 'What should it do? This becomes a comment.' };

async function askHint(
  question: { title: string; prompt: string },
  token: CancellationToken,
): Promise<{ hint: string | null }> {
  return { hint: (await window.showInputBox({ ...question, ignoreFocusOut: true }, token)) || null };
}

/** In a dialog: a message goes out of sight after some seconds, and the server waits on. The last choice shuts it. */
async function askForConsent(asked: {
  question: string;
  choices: string[];
}): Promise<{ choice: string | null }> {
  const items = asked.choices.map((title, index) => ({
    title,
    isCloseAffordance: index === asked.choices.length - 1,
  }));
  const chosen = await window.showWarningMessage(asked.question, { modal: true }, ...items);
  return { choice: chosen?.title ?? null };
}

/** The selection of the active editor, or where the cursor is, for the server's commands. */
export function here(server: { uri(uri: Uri): string }): [string, object] | undefined {
  const editor = window.activeTextEditor;
  if (!editor) {
    return undefined;
  }
  const { start, end } = editor.selection;
  const position = ({ line, character }: { line: number; character: number }) => ({ line, character });
  return [server.uri(editor.document.uri), { start: position(start), end: position(end) }];
}
