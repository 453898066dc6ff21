import { describe, expect, test } from 'vitest';
import { candidates, type Surroundings } from '../src/server/candidates';

function around(changes: Partial<Surroundings>): Surroundings {
  return {
    platform: 'linux',
    home: '/home/ada',
    environment: { PATH: '/usr/bin:/home/ada/project/bin' },
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
    expect(commands({ command: ['risk'], environment: { PATH: '/usr/bin' } })).toEqual(['/usr/bin/risk']);
  });

  test('a relative path is never looked for', () => {
    expect(commands({ command: ['bin/risk'] })).toEqual([]);
  });
});

const TOOLS = [
  '/home/ada/.local/bin/risk-lsp',
  '/home/ada/.local/share/pipx/venvs/risk-lsp/bin/risk-lsp',
  '/home/ada/.local/pipx/venvs/risk-lsp/bin/risk-lsp',
  '/home/ada/pipx/venvs/risk-lsp/bin/risk-lsp',
  '/home/ada/.local/share/uv/tools/risk-lsp/bin/risk-lsp',
];

describe('in a trusted workspace', () => {
  test('its environment comes first, then PATH, then the tools of pipx and uv', () => {
    expect(commands({ selectedPython: '/envs/a/bin/python', environment: { PATH: '/usr/bin' } })).toEqual([
      '/envs/a/bin/risk-lsp',
      '/envs/a/bin/python/bin/risk-lsp',
      '/home/ada/project/.venv/bin/risk-lsp',
      '/usr/bin/risk-lsp',
      ...TOOLS,
    ]);
  });
});

describe('in an untrusted workspace', () => {
  test('nothing of the workspace is a candidate, not even by way of PATH', () => {
    expect(commands({ isTrusted: false, selectedPython: '/envs/a/bin/python' })).toEqual([
      '/usr/bin/risk-lsp',
      ...TOOLS,
    ]);
  });

  test('nor by way of the folders of tools', () => {
    const inside = '/home/ada/project/tools';
    const environment = {
      PIPX_HOME: inside,
      PIPX_BIN_DIR: inside,
      UV_TOOL_DIR: inside,
      UV_TOOL_BIN_DIR: inside,
    };
    expect(commands({ isTrusted: false, environment })).toEqual([]);
  });
});

test('tools are where their programs were told to put them', () => {
  const environment = { PIPX_HOME: '/p', PIPX_BIN_DIR: '/b', UV_TOOL_DIR: '/u', UV_TOOL_BIN_DIR: '/v' };
  expect(commands({ environment, folders: [] })).toEqual([
    '/b/risk-lsp',
    '/p/venvs/risk-lsp/bin/risk-lsp',
    '/v/risk-lsp',
    '/u/risk-lsp/bin/risk-lsp',
  ]);
});

test('relative folders on PATH are never searched', () => {
  expect(commands({ environment: { PATH: '.::bin' }, folders: [] })).toEqual(TOOLS);
});

test('on Windows it is risk-lsp.exe, in Scripts', () => {
  const changes: Partial<Surroundings> = {
    platform: 'win32',
    environment: { PATH: 'C:\\Python' },
    home: 'C:\\Users\\ada',
    folders: ['C:\\project'],
  };
  expect(commands(changes)).toEqual([
    'C:\\project\\.venv\\Scripts\\risk-lsp.exe',
    'C:\\Python\\risk-lsp.exe',
    'C:\\Users\\ada\\.local\\bin\\risk-lsp.exe',
    'C:\\Users\\ada\\.local\\share\\pipx\\venvs\\risk-lsp\\Scripts\\risk-lsp.exe',
    'C:\\Users\\ada\\.local\\pipx\\venvs\\risk-lsp\\Scripts\\risk-lsp.exe',
    'C:\\Users\\ada\\pipx\\venvs\\risk-lsp\\Scripts\\risk-lsp.exe',
    'C:\\Users\\ada\\AppData\\Roaming\\uv\\tools\\risk-lsp\\Scripts\\risk-lsp.exe',
  ]);
});
