/** Nothing is fetched and nothing runs: a report is text and styles. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:";

/** The server's report with a content security policy as the first thing in its head. */
export function lockedDown(html: string): string {
  const policy = `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`;
  const head = /<head[^>]*>/i.exec(html);
  if (!head) {
    return `<!doctype html><html><head>${policy}</head>${html}</html>`;
  }
  const end = head.index + head[0].length;
  return html.slice(0, end) + policy + html.slice(end);
}
