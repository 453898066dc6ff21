/** What is spoken with the server beyond the language server protocol; see docs/protocol.md. */

export const LINES = 'riskLsp/lines';
export const QUERY = 'riskLsp/query';
export const STATUS = 'riskLsp/status';
export const ANALYSED = 'riskLsp/analysed';
export const USER_SETTINGS = 'riskLsp/userSettings';
export const EXPLAIN = 'riskLsp.explain';

export type State = 'starting' | 'ready' | 'analysing' | 'paused' | 'failed' | 'off';

export interface Status {
  state: State;
  /** One sentence for people. */
  message: string;
  /** Name of the probe bundle, once it is loaded. */
  bundle: string | null;
  /** End of a snooze, in seconds since the epoch. */
  until: number | null;
}

export interface LinesAnswer {
  version: number;
  lines: (number | null)[];
  /** What is said of each line: "41%", or "1st" where only the order is known. An older server sends none. */
  labels?: (string | null)[];
  places?: string[];
  /** By place, why its lines have no percentage. */
  orders?: Record<string, string>;
  /** 0 (not shown) to 4 for each line. */
  steps: number[];
  /** Why the numbers may not hold for this document. */
  outside: string | null;
}

export interface QueryAnswer {
  version: number;
  probabilities: number[];
  labels?: string[];
  standings?: { why?: string }[];
}

export interface Analysed {
  uri: string;
  version: number;
}

export interface ExplainAnswer {
  markdown: string;
}

/** What is known of a text that the model would write: the third argument of its command. */
export interface WrittenRisk {
  /** "1 line worth a look, 38%"; without a number where percentages were not measured. */
  words: string;
  /** For each line that is not blank, where it begins in the text, and 0 (not worth a look) to 4. */
  lines: { start: { line: number }; step: number }[];
}

/** A text that is being written and not in the document; `text: null` ends it. */
export interface GrowingText {
  /** Of the progress, by which it is cancelled. */
  token: string | number;
  uri: string;
  text: string | null;
  version?: number;
  range?: { start: { line: number; character: number } };
  risk?: WrittenRisk;
}

/** A line that changed since the last commit. */
export interface ReviewedLine {
  uri: string;
  range: { start: { line: number; character: number } };
  /** The line itself. */
  text: string;
  /** "41%", or "1st" where only the order is known. */
  label: string;
  /** The same as a sentence. */
  sentence: string;
}

export interface ReviewAnswer {
  /** One clause for people. */
  message: string;
  lines: ReviewedLine[];
}

export interface ReportAnswer {
  html: string;
}

/** A model that can be chosen. */
export interface ModelOffer {
  name: string;
  state: 'built-in' | 'here' | 'gone' | 'to fetch';
  /** Bytes. */
  size: number;
  in_use: boolean;
  licence: string | null;
  source: string | null;
  path: string | null;
  /** The bundle that reads it. */
  bundle: string | null;
  tokens_per_second: number | null;
}

export interface ModelList {
  models: ModelOffer[];
  /** Folder of the bundle that the person chose. */
  chosen: string;
  /** The setting `bundle`, where it goes before the choice. */
  setting: string | null;
}

export interface FetchedModel {
  status: 'fetched' | 'declined' | 'failed';
  message: string;
}

export interface AddedModel {
  name: string;
  bundle: string | null;
}
