import type { ExtensionContext, LogOutputChannel } from 'vscode';
import {
  CloseAction,
  type CloseHandlerResult,
  ErrorAction,
  type ErrorHandler,
  type ErrorHandlerResult,
  LanguageClient,
  type LanguageClientOptions,
  RevealOutputChannelOn,
} from 'vscode-languageclient/node';
import { config, SECTION, type ServerSettings } from '../config';
import { belowHint } from '../hover/hover';
import { EXPLAIN, type ExplainAnswer } from '../protocol';
import { cancellableProgress } from '../repair/progress';
import { answerRequests, OFFERS } from '../repair/requests';
import { withoutSecrets } from '../repair/secrets';
import { documentSelector } from '../selector';
import type { GhostText } from '../writing/ghost';
import type { Preview } from '../writing/preview';
import type { Candidate } from './candidates';

/**
 * A client that starts the server with `candidate`. `gaveUp` is called once the server has crashed too often, `explained`
 * with every explanation that the server gives. `ghost` hears of every text that is offered at the cursor, `preview` of
 * the body of a function as it grows.
 */
export function createClient(
  context: ExtensionContext,
  candidate: Candidate,
  settings: ServerSettings,
  log: LogOutputChannel,
  gaveUp: () => void,
  explained: (markdown: string) => void,
  ghost: GhostText,
  preview: Preview,
): LanguageClient {
  const secrets = new Set<string>();
  const options: LanguageClientOptions = {
    documentSelector: documentSelector(config.languages()),
    outputChannel: log,
    traceOutputChannel: withoutSecrets(log, secrets),
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    initializationOptions: () => settings.initializationOptions(),
    initializationFailedHandler: () => false, // said in the status bar, and the log has the reason
    middleware: {
      handleWorkDoneProgress: cancellableProgress(
        (token) => void client.sendNotification('window/workDoneProgress/cancel', { token }),
      ),
      provideHover: async (document, position, token, next) =>
        belowHint(await next(document, position, token), document, position),
      provideInlineCompletionItems: async (document, position, context, token, next) => {
        const isWanted = config.inlineCompletion() && !preview.isIn(document);
        const found = isWanted ? await next(document, position, context, token) : [];
        if (!token.isCancellationRequested) {
          ghost.show(document, position, found);
        }
        return found;
      },
      executeCommand: async (command, args, next) => {
        const answer: ExplainAnswer | undefined = await next(command, args);
        if (command === EXPLAIN && answer) {
          explained(answer.markdown);
        }
        return answer;
      },
      workspace: {
        configuration: (params, token, next) =>
          params.items.every(({ section }) => section === SECTION)
            ? params.items.map(({ scopeUri }) => settings.pulled(scopeUri))
            : next(params, token),
      },
    },
  };
  // Not in a folder of the workspace: `python -m` takes modules from the folder that it starts in.
  const run = { command: candidate.command, args: candidate.args, options: { cwd: context.extensionPath } };
  const client = new LanguageClient(SECTION, 'risk-lsp', run, options);
  client.clientOptions.errorHandler = new QuietErrorHandler(client.createDefaultErrorHandler(), gaveUp);
  client.registerFeature({
    fillClientCapabilities: (capabilities) => {
      capabilities.experimental = {
        ...capabilities.experimental,
        riskLsp: { status: true, analysed: true, ...OFFERS },
      };
    },
    initialize: () => {},
    getState: () => ({ kind: 'static' }),
    clear: () => {},
  });
  answerRequests(client, context, secrets);
  preview.listen(client);
  return client;
}

/**
 * Restarts a crashed server without a word, as the default handler would with many; gives up when it does. A message that
 * cannot be sent is no reason to stop, as it is for the default handler: when the server is gone, its pipes close next.
 */
class QuietErrorHandler implements ErrorHandler {
  constructor(
    private readonly usual: ErrorHandler,
    private readonly gaveUp: () => void,
  ) {}

  error(): ErrorHandlerResult {
    return { action: ErrorAction.Continue, handled: true };
  }

  async closed(): Promise<CloseHandlerResult> {
    const result = await this.usual.closed();
    if (result.action === CloseAction.DoNotRestart) {
      this.gaveUp();
    }
    return { ...result, handled: true };
  }
}
