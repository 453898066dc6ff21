/** The time after an edit in which the server waits for the next one; a question would have it run the model at once. */
export class QuietPeriod {
  private edited: { uri: string; at: number } | undefined;

  /** The document was edited at a time, in milliseconds. */
  begins(uri: string, at: number): void {
    this.edited = { uri, at };
  }

  /** The newest text was analysed before its time. */
  ends(): void {
    this.edited = undefined;
  }

  /** Milliseconds that are left of a period of `length` for a document. */
  left(uri: string, now: number, length: number): number {
    return this.edited?.uri === uri ? Math.max(0, this.edited.at + length - now) : 0;
  }
}
