import { type Disposable, EventEmitter, type ExtensionContext, type LogOutputChannel, Uri } from 'vscode';
import {
  type LanguageClient,
  LSPErrorCodes,
  ResponseError,
  State,
  WorkDoneProgress,
} from 'vscode-languageclient/node';
import type { ServerSettings } from '../config';
import { ANALYSED, type Analysed, STATUS, type Status, USER_SETTINGS } from '../protocol';
import type { GhostText } from '../writing/ghost';
import type { Preview } from '../writing/preview';
import { createClient } from './client';
import { installCommand, locateServer, ServerNotFound } from './locate';

/** An answer, or why there is none: ask again `later`, or there is `none` to be had now. */
export type Answer<T> = { value: T } | 'later' | 'none';

/** A version of a document whose numbers are ready. */
export interface AnalysedDocument {
  uri: Uri;
  version: number;
}

const STOPPED: Status = { state: 'off', message: 'The server is not running.', bundle: null, until: null };

/** The language server: started, restarted and asked through this. */
export class Server implements Disposable {
  private client: LanguageClient | undefined;
  private transition: Promise<void> = Promise.resolve();
  private readonly statusChanged = new EventEmitter<Status>();
  private readonly analysed = new EventEmitter<AnalysedDocument>();
  private readonly missing = new EventEmitter<ServerNotFound>();
  private readonly explained = new EventEmitter<string>();

  /** Fires with the newest status. */
  readonly onDidChangeStatus = this.statusChanged.event;
  /** Fires when numbers for a document's newest text are ready. */
  readonly onAnalysed = this.analysed.event;
  /** Fires when the server is not there to be started. */
  readonly onMissing = this.missing.event;
  /** Fires with an explanation that somebody asked for, in markdown. */
  readonly onExplained = this.explained.event;
  status: Status = STOPPED;
  isMissing = false;
  /** Whether somebody wants it to run; it may have failed to. */
  isWanted = false;
  /** Whether the server that runs now has said how it is; an older one never does. */
  private hasSpoken = false;
  /** Of progress, so far. */
  private tokens = 0;

  constructor(
    private readonly context: ExtensionContext,
    private readonly settings: ServerSettings,
    private readonly log: LogOutputChannel,
    private readonly ghost: GhostText,
    private readonly preview: Preview,
  ) {}

  get isRunning(): boolean {
    return this.client?.state === State.Running;
  }

  /** Start it, or stop it and start it anew. Never throws: the status says what went wrong. */
  restart(): Promise<void> {
    this.isWanted = true;
    return this.next(async () => {
      await this.stopClient();
      await this.startClient();
    });
  }

  /** Tell it what the user's own settings are by now; a server too old to hear of that is started anew. */
  async sayUserSettings(): Promise<void> {
    const client = this.client;
    if (client && this.isRunning && hearsOfUserSettings(client)) {
      await client.sendNotification(USER_SETTINGS, this.settings.initializationOptions());
    } else {
      await this.restart();
    }
  }

  /** Stop it and wait for its end. */
  stop(): Promise<void> {
    this.isWanted = false;
    return this.next(() => this.stopClient());
  }

  dispose(): void {
    this.statusChanged.dispose();
    this.analysed.dispose();
    this.missing.dispose();
    this.explained.dispose();
  }

  /** Ask something that may have no answer: no server, an older one, or a text that has changed meanwhile. */
  async ask<T>(method: string, params: unknown): Promise<Answer<T>> {
    if (!this.client || !this.isRunning) {
      return 'none';
    }
    try {
      return { value: await this.client.sendRequest<T>(method, params) };
    } catch (error) {
      return isForLater(error) ? 'later' : 'none';
    }
  }

  /** Run one of the server's commands. Throws what the server says against it. */
  async execute<T>(command: string, ...parameters: unknown[]): Promise<T> {
    if (!this.client || !this.isRunning) {
      throw new Error(this.status.message);
    }
    return this.client.sendRequest<T>('workspace/executeCommand', { command, arguments: parameters });
  }

  /** Run a command that shows how far it is, and can be cancelled; undefined if it was. Throws as `execute`. */
  async executeWithProgress<T>(command: string, ...parameters: unknown[]): Promise<T | undefined> {
    const client = this.client;
    if (!client || !this.isRunning) {
      throw new Error(this.status.message);
    }
    this.tokens += 1;
    const workDoneToken = `risk-lsp-${this.tokens}`;
    const params = { command, arguments: parameters, workDoneToken };
    const listening = client.onProgress(WorkDoneProgress.type, workDoneToken, () => {}); // the middleware shows it
    try {
      return await client.sendRequest<T>('workspace/executeCommand', params);
    } catch (error) {
      if (isForLater(error)) {
        return undefined;
      }
      throw error;
    } finally {
      listening.dispose();
    }
  }

  /** The document's URI as the server knows it. */
  uri(uri: Uri): string {
    return this.client?.code2ProtocolConverter.asUri(uri) ?? uri.toString();
  }

  /** The command that installs it. */
  installCommand(): Promise<string> {
    return installCommand(this.context.extensionPath);
  }

  private next(step: () => Promise<void>): Promise<void> {
    this.transition = this.transition.then(step).catch((error) => this.fail(error));
    return this.transition;
  }

  private async startClient(): Promise<void> {
    this.isMissing = false;
    this.say('starting', 'The server is starting.');
    const candidate = await locateServer(this.context.extensionPath);
    this.log.info(`Starting ${[candidate.command, ...candidate.args].join(' ')} (${candidate.origin})`);
    const gaveUp = () => this.say('failed', 'The server crashed too often and is not restarted.');
    const explained = (markdown: string) => this.explained.fire(markdown);
    const client = createClient(
      this.context,
      candidate,
      this.settings,
      this.log,
      gaveUp,
      explained,
      this.ghost,
      this.preview,
    );
    this.client = client;
    client.onDidChangeState(({ newState }) => this.clientChanged(client, newState));
    client.onNotification(STATUS, (status: Status) => {
      this.hasSpoken = true;
      this.show(status);
    });
    client.onNotification(ANALYSED, ({ uri, version }: Analysed) =>
      this.analysed.fire({ uri: Uri.parse(uri), version }),
    );
    await client.start();
  }

  private async stopClient(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.show(STOPPED);
    try {
      await client?.dispose();
    } catch (error) {
      this.log.warn(`The server did not stop in order: ${error}`);
    }
  }

  private clientChanged(client: LanguageClient, state: State): void {
    if (client !== this.client) {
      return;
    }
    if (state === State.Starting) {
      this.hasSpoken = false;
      this.say('starting', 'The server is starting.');
    } else if (state === State.Running && this.hasSpoken) {
      this.show(this.status);
    } else if (state === State.Running) {
      this.say('ready', 'The server is running.');
    } else if (state === State.StartFailed) {
      this.say('failed', 'The server could not be started; its log says why.');
    }
  }

  private fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.log.error(message);
    this.say('failed', message);
    if (error instanceof ServerNotFound) {
      this.isMissing = true;
      this.missing.fire(error);
    }
  }

  private say(state: Status['state'], message: string): void {
    this.show({ state, message, bundle: null, until: null });
  }

  private show(status: Status): void {
    this.status = status;
    this.statusChanged.fire(status);
  }
}

function hearsOfUserSettings(client: LanguageClient): boolean {
  const own = client.initializeResult?.capabilities.experimental?.riskLsp;
  return own?.notifications?.includes(USER_SETTINGS) ?? false;
}

function isForLater(error: unknown): boolean {
  const retried: number[] = [
    LSPErrorCodes.ContentModified,
    LSPErrorCodes.RequestCancelled,
    LSPErrorCodes.ServerCancelled,
  ];
  return error instanceof ResponseError && retried.includes(error.code);
}
