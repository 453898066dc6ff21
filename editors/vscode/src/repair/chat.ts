import { type CancellationToken, LanguageModelChatMessage, LanguageModelError, lm } from 'vscode';

/** What the server asks of the editor's own model; see docs/protocol.md. */
export interface ChatQuestion {
  messages: { role: string; content: string }[];
  maxTokens: number;
  temperature: number;
}

/** A text, or the error that there is instead. */
export interface ChatAnswer {
  text?: string;
  promptTokens?: number;
  completionTokens?: number;
  error?: string;
}

/** Ask the model that the editor offers first. What goes wrong is part of the answer. */
export async function chat(question: ChatQuestion, token: CancellationToken): Promise<ChatAnswer> {
  const [model] = await lm.selectChatModels();
  if (!model) {
    return { error: 'there is no language model; install an extension that brings one' };
  }
  // There is no role for the system: what it would say comes first.
  const messages = question.messages.map(({ role, content }) =>
    role === 'assistant'
      ? LanguageModelChatMessage.Assistant(content)
      : LanguageModelChatMessage.User(content),
  );
  try {
    const options = { justification: 'risk-lsp asks for the repair that you requested.' };
    const response = await model.sendRequest(messages, options, token);
    let text = '';
    for await (const piece of response.text) {
      text += piece;
    }
    const counts = await Promise.all(messages.map((message) => model.countTokens(message, token)));
    const promptTokens = counts.reduce((sum, count) => sum + count, 0);
    return { text, promptTokens, completionTokens: await model.countTokens(text, token) };
  } catch (error) {
    if (error instanceof LanguageModelError) {
      return { error: error.message };
    }
    throw error;
  }
}
