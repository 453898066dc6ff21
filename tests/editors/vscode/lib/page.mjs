// What a person does and sees in the editor's window.
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { until } from './checks.mjs';

const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
const SIZE = { width: 1100, height: 620 };

export class Window {
  static async open(artefacts) {
    const browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: [...QUIET, '--disable-component-update', '--disable-sync'],
    });
    const context = await browser.newContext({ viewport: SIZE, permissions: ['clipboard-read', 'clipboard-write'] });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    return new Window(browser, page, artefacts);
  }

  constructor(browser, page, artefacts) {
    this.browser = browser;
    this.page = page;
    this.artefacts = artefacts;
  }

  async load(url) {
    await this.page.goto(url);
    await this.page.waitForSelector('.monaco-workbench .statusbar', { timeout: 60_000 });
  }

  close() {
    return this.browser.close();
  }

  screenshot(name, options = {}) {
    return this.page.screenshot({ path: join(this.artefacts, `${name}.png`), animations: 'disabled', ...options });
  }

  /** Run a command by its title in the palette. */
  async command(title) {
    await this.page.keyboard.press('F1');
    await this.page.keyboard.insertText(title);
    const row = this.page.locator('.quick-input-list .monaco-list-row.focused', { hasText: title });
    await row.waitFor();
    await this.page.keyboard.press('Enter');
    await row.waitFor({ state: 'hidden' });
  }

  /** Choose from an open quick pick. */
  async pick(text) {
    await this.page.locator('.quick-input-list .monaco-list-row', { hasText: text }).waitFor();
    await this.page.keyboard.insertText(text);
    await this.page.keyboard.press('Enter');
  }

  async openFile(name) {
    await this.page.keyboard.press('Control+p');
    await this.page.keyboard.insertText(name);
    await this.page.locator('.quick-input-list .monaco-list-row.focused', { hasText: name }).waitFor();
    await this.page.keyboard.press('Enter');
    await this.page.locator('.tab.active', { hasText: name }).waitFor();
    await this.page.locator('.monaco-editor .view-line').first().waitFor();
  }

  async goToLine(line) {
    await this.page.keyboard.press('Control+g');
    await this.page.keyboard.insertText(String(line));
    await this.page.keyboard.press('Enter');
  }

  underlines() {
    return this.page.locator('.editor-instance .monaco-editor .cdr[class*="squiggly-"]').count();
  }

  async waitForUnderlines(count) {
    await until(`${count} underlines, not ${await this.underlines()}`, async () => (await this.underlines()) === count);
  }

  /** Background colours of tinted lines, from the top. */
  tints() {
    return this.page
      .locator('.editor-instance .monaco-editor .view-overlays .cdr[class*="TextEditorDecorationType"]')
      .evaluateAll((elements) => elements.map((element) => getComputedStyle(element).backgroundColor));
  }

  /** Bars in the margin. */
  bars() {
    return this.page.locator('.editor-instance .glyph-margin-widgets [class*="TextEditorDecorationType"]').count();
  }

  /** Text of the hover on a piece of a line. */
  async hover(text) {
    const place = this.page.locator('.editor-instance .view-line span span', { hasText: text }).last();
    await this.page.mouse.move(5, 5);
    await place.hover();
    const hover = this.page.locator('.monaco-hover:visible', { hasText: 'likely to need an edit' }).first();
    await hover.waitFor();
    return hover.innerText();
  }

  /** A status bar item whose text matches. */
  async statusItem(pattern) {
    const items = this.page.locator('.statusbar-item');
    return until(`${pattern} in the status bar, not ${await items.allInnerTexts()}`, async () =>
      (await items.allInnerTexts()).map((text) => text.trim()).find((text) => pattern.test(text)),
    );
  }

  async clickStatusItem(text) {
    await this.page.locator('.statusbar-item', { hasText: new RegExp(`^\\s*${text}\\s*$`) }).click();
  }

  /** What an open quick pick offers. */
  async choices() {
    const rows = this.page.locator('.quick-input-list .monaco-list-row');
    await rows.first().waitFor();
    return rows.allInnerTexts();
  }

  /** Wait for a message to the person; its text. */
  async message(pattern) {
    const toast = this.page.locator('.notification-toast', { hasText: pattern }).first();
    await toast.waitFor();
    return toast.innerText();
  }

  /** Wait for a page in the editor, such as a report, with this text. */
  async embedded(text) {
    await until(`a page that says ${text}`, async () => {
      const pages = this.page.frames().filter((frame) => frame !== this.page.mainFrame());
      const found = pages.map((frame) => frame.locator('body', { hasText: text }).count().catch(() => 0));
      return (await Promise.all(found)).some((count) => count > 0);
    });
  }

  /** Text of a line, as shown. */
  async line(number) {
    const lines = this.page.locator('.editor-instance .view-line');
    return (await lines.nth(number - 1).innerText()).replaceAll('\u00a0', ' ');
  }

  async codeActions() {
    await this.page.keyboard.press('Control+.');
    const rows = this.page.locator('.action-widget .monaco-list-row');
    await rows.first().waitFor();
    const texts = await rows.allInnerTexts();
    return texts.map((text) => text.trim());
  }
}
