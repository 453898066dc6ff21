import type { WrittenRisk } from '../protocol';

/** What is said beside ghost text, of the text that is shown and of those that come after it, and its highest step. */
export interface GhostWords {
  text: string;
  step: number;
}

/** The words for texts in their order; undefined for none. */
export function wordsFor(risks: readonly WrittenRisk[]): GhostWords | undefined {
  const [first] = risks;
  if (!first) {
    return undefined;
  }
  const text =
    risks.length === 1 ? first.words : risks.map(({ words }, index) => `${index + 1}: ${words}`).join(' · ');
  return { text, step: Math.max(0, ...first.lines.map(({ step }) => step)) };
}
