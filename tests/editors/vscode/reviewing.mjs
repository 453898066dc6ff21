// What was generated since the last commit, in one list.
import { execFileSync } from 'node:child_process';
import { must, until } from './lib/checks.mjs';

export function reviewChecks(window, folders) {
  const git = (...args) =>
    execFileSync('git', ['-C', folders.workspace, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args]);
  return [
    ['what was generated since the last commit is one list, and a choice goes to the line', async () => {
      git('init', '-q');
      git('commit', '-q', '--allow-empty', '-m', 'first');
      await window.openFile('sample.py');
      const before = await window.problems();
      await window.command('Risk: Review What Was Generated');
      const rows = await window.choices('crlf.py:4');
      await window.screenshot('review');
      must(rows[0].startsWith('63%'), rows[0]);
      await until('the problems', async () => (await window.problems()) > before);
      await window.pick('crlf.py:4');
      await window.page.locator('.tab.active', { hasText: 'crlf.py' }).waitFor();
      await window.statusItem(/^Ln 4, Col 1$/);
    }],
  ];
}
