// What a person does and sees in the editor's window.
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { PATIENCE_MS, until } from './checks.mjs';
import { changeSettings } from './folders.mjs';

const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
/** The editor itself is megabytes of code. */
const START_PATIENCE_MS = 300_000;
/** Seconds on an idle machine; lib/session.mjs allows as long. */
const REPAIR_PATIENCE_MS = 600_000;
const SIZE = { width: 1100, height: 620 };
const LINES = '.editor-instance .monaco-editor .view-line';
const UNDERLINES = '.editor-instance .monaco-editor .cdr[class*="squiggly-"]';
const HOVER = '.monaco-hover:visible';
/** The hint is shown first, and the server's answer takes its place below it when it comes. */
const WHOLE = { hasNotText: 'Loading...' };
const HIGHLIGHT = '.editor-instance .monaco-editor .cdr.hoverHighlight';

/** Themes by the names of pictures, and what marks the window that shows them. */
const THEMES = {
  light: ['Light 2026', '.vs'],
  dark: ['Dark 2026', '.vs-dark'],
  'high-contrast': ['Default High Contrast', '.hc-black'],
  'high-contrast-light': ['Default High Contrast Light', '.hc-light'],
};

export class Window {
  static async open(artefacts) {
    const browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: [...QUIET, '--disable-component-update', '--disable-sync'],
    });
    const context = await browser.newContext({ viewport: SIZE, permissions: ['clipboard-read', 'clipboard-write'] });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    return new Window(browser, page, artefacts);
  }

  constructor(browser, page, artefacts) {
    this.browser = browser;
    this.page = page;
    this.artefacts = artefacts;
  }

  async load(url) {
    await this.page.goto(url, { waitUntil: 'commit' });
    await this.page.locator('.monaco-workbench .statusbar').waitFor({ timeout: START_PATIENCE_MS });
  }

  close() {
    return this.browser.close();
  }

  screenshot(name, options = {}) {
    return this.page.screenshot({ path: join(this.artefacts, `${name}.png`), animations: 'disabled', ...options });
  }

  /** Open one of the boxes at the top by its key, and type into it. A page that takes the focus late shuts it again. */
  async ask(key, text) {
    const box = this.page.locator('.quick-input-widget');
    await until('the box at the top', async () => {
      if (!(await box.isVisible())) {
        await this.page.keyboard.press(key);
      }
      const focused = box.locator('input:focus');
      return focused.waitFor({ timeout: 5_000 }).then(() => true, () => false);
    });
    await this.page.keyboard.insertText(text);
  }

  /** Choose the row with this text in the box at the top, which then shuts or goes on to another question. */
  async choose(text) {
    const row = this.page.locator('.quick-input-list .monaco-list-row.focused', { hasText: text });
    await row.waitFor();
    await this.page.keyboard.press('Enter');
    await row.waitFor({ state: 'hidden' });
  }

  /** Run a command by its title in the palette. */
  async command(title) {
    await this.ask('F1', title);
    await this.choose(title);
  }

  /** Choose from an open quick pick. */
  async pick(text) {
    await this.page.locator('.quick-input-list .monaco-list-row', { hasText: text }).waitFor();
    await this.page.keyboard.insertText(text);
    await this.choose(text);
  }

  /** Answer the question of a box at the top. */
  async answer(question, text) {
    const box = this.page.locator('.quick-input-widget', { hasText: question });
    await box.locator('input:focus').waitFor();
    await this.page.keyboard.insertText(text);
    await this.page.keyboard.press('Enter');
    await box.waitFor({ state: 'hidden' });
  }

  async openFile(name) {
    await this.ask('Control+p', name);
    await this.choose(name);
    await this.page.locator('.tab.active', { hasText: name }).waitFor();
    await this.page.locator(LINES).first().waitFor();
  }

  async save() {
    await this.page.keyboard.press('Control+s');
    await this.page.locator('.tab.active.dirty').waitFor({ state: 'detached' });
  }

  async goToLine(line) {
    await this.ask('Control+g', `${line}`);
    await this.page.keyboard.press('Enter');
    await this.statusItem(new RegExp(`^Ln ${line}, Col`));
  }

  underlines() {
    return this.page.locator(UNDERLINES).count();
  }

  async waitForUnderlines(count) {
    await until(`${count} underlines, not ${await this.underlines()}`, async () => (await this.underlines()) === count);
  }

  /** The characters above each underline, from the top: VS Code draws the one of a hint below the first two columns. */
  underlined() {
    return this.charactersAt(UNDERLINES);
  }

  /** The characters that are highlighted while a hover is shown for them. */
  async highlighted() {
    await this.page.locator(HIGHLIGHT).first().waitFor();
    return (await this.charactersAt(HIGHLIGHT)).join('');
  }

  async charactersAt(decorations) {
    const found = await this.page.evaluate(charactersAt, { decorations, lines: LINES });
    return found.map((text) => text.replaceAll('\u00a0', ' '));
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

  /** Where the text of the first line begins, in pixels from the left. */
  async textLeft() {
    return (await this.page.locator(`${LINES} > span`).first().boundingBox()).x;
  }

  /** Text of the hover on a piece of a line. */
  async hover(text) {
    const place = this.page.locator('.editor-instance .view-line span span', { hasText: text }).last();
    const hover = this.page
      .locator(HOVER, { hasText: /likely to need an edit|chance of an edit|lines? to read|makes it the/, ...WHOLE })
      .first();
    await this.hold(place, {}, hover);
    return hover.innerText();
  }

  /** Text of the hover that is shown. */
  hovered() {
    return this.page.locator(HOVER, WHOLE).first().innerText();
  }

  /** Hold the mouse over the first underlined piece of text until the hover is there. */
  async hoverUnderline() {
    const place = this.page.locator(UNDERLINES).first();
    const onUnderline = { position: { x: 3, y: 9 }, force: true }; // by force: the text is drawn above it
    await this.hold(place, onUnderline, this.page.locator(HOVER, WHOLE).first());
  }

  /** Hold the mouse somewhere until the hover is there; as what is redrawn under it takes the hover away, move it again. */
  async hold(place, options, hover) {
    await until('the hover', async () => {
      await this.leave();
      await place.hover(options);
      return hover.waitFor({ timeout: 15_000 }).then(
        () => true,
        () => false,
      );
    });
  }

  /** Do something in each theme. */
  async inThemes(folders, body) {
    for (const [name, [theme, mark]] of Object.entries(THEMES)) {
      changeSettings(folders, { 'workbench.colorTheme': theme });
      await this.page.locator(`.monaco-workbench${mark}`).waitFor();
      await body(name);
    }
  }

  background(selector) {
    return this.page
      .locator(selector)
      .first()
      .evaluate((element) => getComputedStyle(element).backgroundColor);
  }

  /** Move the mouse where nothing answers to it. */
  async leave() {
    await this.page.mouse.move(5, 5);
    await this.page.locator('.monaco-hover:visible').first().waitFor({ state: 'hidden' });
  }

  /** How many problems of all kinds the status bar counts. */
  async problems() {
    const counts = await this.page.locator('.statusbar-item[id="status.problems"]').innerText();
    return counts.match(/\d+/g).reduce((sum, count) => sum + Number(count), 0);
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

  /** What an open quick pick offers, once this is among it; the palette leaves hidden rows behind. */
  async choices(text) {
    const rows = this.page.locator('.quick-input-list .monaco-list-row:visible');
    await rows.filter({ hasText: text }).first().waitFor();
    return rows.allInnerTexts();
  }

  /** Shut an open quick pick. */
  async shut() {
    await this.page.keyboard.press('Escape');
    await this.page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
  }

  /** Wait for a message to the person; its text. */
  async message(pattern) {
    const toast = this.page.locator('.notification-toast', { hasText: pattern }).first();
    await toast.waitFor();
    return toast.innerText();
  }

  /** Wait until a message is gone. */
  gone(pattern) {
    return this.page.locator('.notification-toast', { hasText: pattern }).first().waitFor({ state: 'hidden' });
  }

  /** Press a button of the message with this text. */
  async press(pattern, button) {
    const toast = this.page.locator('.notification-toast', { hasText: pattern }).first();
    await toast.getByRole('button', { name: button, exact: true }).click();
    await toast.waitFor({ state: 'hidden' });
  }

  /** What would be inserted at the cursor. */
  async ghostText() {
    const pieces = await this.page.locator('[class*="ghost-text"]').allInnerTexts();
    return pieces.join('').replaceAll('\u00a0', ' ');
  }

  /** What is said behind the line with it, which the editor draws by style sheets. */
  besideGhost() {
    return this.page.evaluate(() =>
      [...document.querySelectorAll('.view-line span')]
        .map((span) => getComputedStyle(span, '::after').content)
        .filter((content) => content.includes('worth a look'))
        .join('')
        .replaceAll('"', ''),
    );
  }

  /** What is drawn of a body that is being written: the words behind the header, then its lines, by style sheets, too. */
  previewRows() {
    return this.page.evaluate(() =>
      [...document.querySelectorAll('.view-line span')]
        .map((span) => getComputedStyle(span, '::after'))
        .filter(({ content, whiteSpace }) => content.startsWith('"') && whiteSpace === 'pre')
        .sort((one, other) => (Number.parseFloat(one.top) || 0) - (Number.parseFloat(other.top) || 0))
        .map(({ content, backgroundImage }) => ({
          text: content.slice(1, -1).replaceAll('\\"', '"'),
          isTinted: backgroundImage.startsWith('linear-gradient'),
        })),
    );
  }

  /** Wait for a dialog, which stays until it is answered; its text. */
  async dialog(text) {
    const dialog = this.page.locator('.monaco-dialog-box', { hasText: text });
    await dialog.waitFor();
    return dialog.innerText();
  }

  /** Press a button of the dialog with this text. */
  async decide(text, button) {
    const dialog = this.page.locator('.monaco-dialog-box', { hasText: text });
    await dialog.getByRole('button', { name: button, exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
  }

  /** Choose a code action by its title; it is taken by its first words. */
  async codeAction(title) {
    const row = await this.openActions(title);
    for (const text of await this.page.locator('.action-widget .monaco-list-row.action').allInnerTexts()) {
      if (text.includes(title)) {
        break;
      }
      await this.page.keyboard.press('ArrowDown');
    }
    await this.page.keyboard.press('Enter');
    await row.waitFor({ state: 'detached' });
  }

  /** Where edits wait for the person. */
  get preview() {
    return this.page.locator('.bulk-edit-panel');
  }

  /** Wait for the preview of an edit. */
  previewed() {
    return this.preview.getByRole('button', { name: 'Apply' }).waitFor({ timeout: REPAIR_PATIENCE_MS });
  }

  /** Apply what is previewed; what needs confirmation is ticked first. */
  async applyPreviewed() {
    await this.previewed();
    await this.preview.locator('.monaco-checkbox').first().click();
    await this.preview.getByRole('button', { name: 'Apply' }).click();
    await this.preview.waitFor({ state: 'hidden' });
  }

  /** Wait for the preview of an edit, and open the change as a diff, which shows what is ticked. */
  async showPreviewed() {
    await this.previewed();
    await this.preview.locator('.monaco-checkbox').first().click();
    await this.preview.locator('.monaco-list-row').last().click();
    await this.page.locator('.monaco-diff-editor .line-insert').first().waitFor();
  }

  async discardPreviewed() {
    await this.preview.getByRole('button', { name: 'Discard' }).click();
    await this.preview.waitFor({ state: 'hidden' });
  }

  /** Wait for a page in the editor, such as a report, with this text; its frame. */
  async embedded(text) {
    return until(`a page that says ${text}`, async () => {
      for (const frame of this.page.frames().filter((each) => each !== this.page.mainFrame())) {
        if (
          await frame
            .locator('body', { hasText: text })
            .count()
            .catch(() => 0)
        ) {
          return frame;
        }
      }
    });
  }

  /** The lines of the editor that are in view, from the top: those of the page stand in any order. */
  async lines() {
    const found = await this.page.locator(LINES).evaluateAll((lines) =>
      lines
        .sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top)
        .map((line) => line.innerText),
    );
    return found.map((line) => line.replaceAll('\u00a0', ' '));
  }

  /** Text of a line, as shown. */
  async line(number) {
    return (
      await this.page
        .locator(LINES)
        .nth(number - 1)
        .innerText()
    ).replaceAll('\u00a0', ' ');
  }

  /** The titles in the menu of code actions, once one of them says this; the menu stays open. */
  async codeActions(text) {
    await this.openActions(text);
    const texts = await this.page.locator('.action-widget .monaco-list-row').allInnerTexts();
    return texts.map((each) => each.trim());
  }

  /** Open the menu of code actions, with a row that says this; it opens anew while that is not there, or it was shut. */
  async openActions(text) {
    const row = this.page.locator('.action-widget .monaco-list-row', { hasText: text }).first();
    await until(`a code action that says ${text}`, async () => {
      await this.page.keyboard.press('Control+.');
      const isThere = row.waitFor({ timeout: 5_000 }).then(() => true, () => false);
      return (await isThere) || this.page.keyboard.press('Escape');
    });
    return row;
  }
}

/** Runs in the page: a character is at a decoration when its middle is. */
function charactersAt({ decorations, lines }) {
  const boxes = [...document.querySelectorAll(decorations)].map((element) => element.getBoundingClientRect());
  boxes.sort((one, other) => one.top - other.top);
  const graphemes = new Intl.Segmenter('en');
  return boxes.map((box) => {
    let text = '';
    for (const line of document.querySelectorAll(lines)) {
      const place = line.getBoundingClientRect();
      if (box.top < place.top - 1 || box.top >= place.bottom - 1) {
        continue;
      }
      const nodes = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
      for (let node = nodes.nextNode(); node; node = nodes.nextNode()) {
        for (const { segment, index } of graphemes.segment(node.data)) {
          const range = document.createRange();
          range.setStart(node, index);
          range.setEnd(node, index + segment.length);
          const { left, right } = range.getBoundingClientRect();
          const middle = (left + right) / 2;
          text += box.left <= middle && middle <= box.right ? segment : '';
        }
      }
    }
    return text;
  });
}
