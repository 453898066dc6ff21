import { describe, expect, test } from 'vitest';
import { candidates, type Surroundings } from '../src/server/candidates';

function around(changes: Partial<Surroundings>): Surroundings {
  return {
    platform: 'linux',
    home: '/home/ada',
    searchPath: '/usr/bin:/home/ada/project/bin',
    command: [],
    interpreter: '',
    isTrusted: true,
    folders: ['/home/ada/project'],
    ...changes,
  };
}

function commands(changes: Partial<Surroundings>): string[] {
  return candidates(around(changes)).map(({ command }) => command);
}

describe('what the user set', () => {
  test('a command is the only candidate, with its arguments', () => {
    const found = candidates(around({ command: ['/opt/risk', 'serve', '--threads', '1'] }));
    expect(found).toEqual([
      { command: '/opt/risk', args: ['serve', '--threads', '1'], origin: 'riskLsp.server.command' },
    ]);
  });

  test('an interpreter runs the module', () => {
    const found = candidates(around({ interpreter: '~/venv/bin/python' }));
    expect(found).toEqual([
      {
        command: '/home/ada/venv/bin/python',
        args: ['-m', 'risk_lsp', 'serve'],
        origin: 'riskLsp.server.interpreter',
      },
    ]);
  });

  test('a bare name is looked for on PATH', () => {
    expect(commands({ command: ['risk'], searchPath: '/usr/bin' })).toEqual(['/usr/bin/risk']);
  });

  test('a relative path is never looked for', () => {
    expect(commands({ command: ['bin/risk'] })).toEqual([]);
  });
});

describe('in a trusted workspace', () => {
  test('PATH comes first, then the selected Python, then .venv', () => {
    expect(commands({ selectedPython: '/envs/a/bin/python', searchPath: '/usr/bin' })).toEqual([
      '/usr/bin/risk-lsp',
      '/envs/a/bin/risk-lsp',
      '/envs/a/bin/python/bin/risk-lsp',
      '/home/ada/project/.venv/bin/risk-lsp',
    ]);
  });
});

describe('in an untrusted workspace', () => {
  test('nothing of the workspace is a candidate, not even by way of PATH', () => {
    expect(commands({ isTrusted: false, selectedPython: '/envs/a/bin/python' })).toEqual([
      '/usr/bin/risk-lsp',
    ]);
  });
});

test('relative folders on PATH are never searched', () => {
  expect(commands({ searchPath: '.::bin', folders: [] })).toEqual([]);
});

test('on Windows it is risk-lsp.exe, in Scripts', () => {
  const changes: Partial<Surroundings> = {
    platform: 'win32',
    searchPath: 'C:\\Python',
    folders: ['C:\\project'],
  };
  expect(commands(changes)).toEqual([
    'C:\\Python\\risk-lsp.exe',
    'C:\\project\\.venv\\Scripts\\risk-lsp.exe',
  ]);
});
