/** How the server's hover begins on a line that has a hint; see risk_lsp/server/features/hover.py. */
const BEGINNING =
  /^Most of (the \*\*[^*]+\*\* chance of an edit|what makes it the \*\*[^*]+\*\*) comes from /;

/** What the hover says below the hint's message, which has told the number already. */
export function withoutNumber(markdown: string): string {
  return markdown.replace(BEGINNING, 'Most of it comes from ');
}

/**
 * Whether VS Code shows a hint's message for a position in its line: where the dots are, below the two columns from `start`
 * on, and one column to each side.
 */
export function isAtDots(start: number, character: number): boolean {
  return start - 1 <= character && character <= start + 2;
}
