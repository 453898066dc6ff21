// Files of the workspace. The scripted server finds BUG likely (63%) and MAYBE less so (22%).
export const SAMPLES = {
  'sample.py': [
    'def mean(values):',
    '    """The mean of some values."""',
    '    total = sum(values)  # MAYBE',
    '    count = len(values)',
    '    return total / count  # BUG',
    '',
    '',
    'print(mean([1, 2, 3]))',
    '',
  ].join('\n'),
  'three.py': 'a = 1\nb = "BUG"\nc = 3\nd = "BUG"\ne = 5\nf = "BUG"\ng = 7\n',
  'edited.py': 'one = 1\ntwo = "BUG"\n',
  'ignored.py': 'one = 1\ntwo = "BUG"\nthree = 3\n',
  'stored.py': 'one = 1\ntwo = "BUG"\nthree = 3\n',
  'emoji.py': 'if x == "🎉👩‍👩‍👧‍👦":\n    x = "🎉 BUG after 🎉 an emoji 🎉"  # 🎉\ny = "😀"; z = "BUG"\n',
  'cjk.py': '名前 = "日本語"\nif 名前:\n    結果 = "漢字 BUG 漢字"\n',
  'combining.py': 'cafe\u0301 = "e\u0301"\n\tnai\u0308ve = "BUG e\u0301\u0323"   \n',
  'crlf.py': 'a = 1\r\n    b = "BUG"\r\nc = 3\r\nd = "BUG"\r\n',
  'formfeed.py': 'a = 1\n\f\nb = "BUG"\nc = "x\x0bBUG\u2028still the same line"\n',
  'generated.py': 'old = "BUG"\nother = 1\n',
  'typed.py': 'a = "MAYBE"\nb = "BUG"\nc = 3\n',
  'written.py': '\n',
  'notes.txt': 'A BUG is mentioned here.\n',
};

/** A program with a wrong name, and what its doctests want. */
const FAULTY = [
  'def largest(numbers):',
  '    """The largest of some numbers.',
  '',
  '    >>> largest([1, 3, 2])',
  '    3',
  '    """',
  '    best = numbers[0]',
  '    for number in numbers:',
  '        if number > BUG:',
  '            best = number',
  '    return best',
  '',
].join('\n');
export const FAULTY_LINE = 9;
SAMPLES['largest.py'] = FAULTY;
SAMPLES['slow.py'] = FAULTY.replace('>>> largest', '>>> import time; time.sleep(50); largest');
// Each is opened by one test alone, which can so tell the hints of its server from those of the server before.
SAMPLES['by-editor.py'] = FAULTY;
SAMPLES['by-endpoint.py'] = FAULTY;

/** For pictures: what a person might write. */
SAMPLES['vowels.py'] = 'def count_vowels(text):\n    """How many letters of the text are vowels."""\n';
SAMPLES['digits.py'] = [
  'def digit_sum(number):',
  '    """The sum of the digits of a number.',
  '',
  '    >>> digit_sum(345)',
  '    12',
  '    """',
  '    total = 0',
  '    while number > 0:',
  '        total += number % 10',
  '        number = number / 10',
  '    return total',
  '',
].join('\n');

SAMPLES['mean.py'] = 'def mean(values):\n    """The mean of some numbers."""\n    return sum(values)';

/** A workspace of somebody else's, whose settings and programs are not to be trusted. */
export const STRANGERS = {
  'program.py': 'a = "BUG"\nb = "MAYBE"\n',
  '.vscode/settings.json': JSON.stringify({
    'riskLsp.threshold': 0.2,
    'riskLsp.bundle': './a-bundle-of-the-workspace',
    'riskLsp.threads': 3,
    'riskLsp.server.command': ['/bin/false'],
    'riskLsp.server.interpreter': '/bin/false',
  }),
  'faulty.py': `${FAULTY}
import pathlib
pathlib.Path.home().joinpath("a-program-of-the-workspace-has-run").touch()
`,
  'trusted.py': FAULTY,
  '.venv/bin/risk-lsp': '#!/bin/sh\ntouch "$HOME/a-program-of-the-workspace-has-run"\n',
};

/** A workspace of two folders with the same program and settings of their own, and a third folder that may be added. */
const PROGRAM = 'a = "BUG"\nb = "MAYBE"\nc = "BUG"\n';
export const TWO_FOLDERS = {
  'two.code-workspace': JSON.stringify({ folders: [{ path: 'low' }, { path: 'few' }] }),
  'low/low.py': PROGRAM,
  'low/.vscode/settings.json': JSON.stringify({ 'riskLsp.threshold': 0.2 }),
  'few/few.py': PROGRAM,
  'few/.vscode/settings.json': JSON.stringify({ 'riskLsp.maxDiagnostics': 1 }),
  'third/third.py': PROGRAM,
  'third/.vscode/settings.json': JSON.stringify({ 'riskLsp.threshold': 0.2 }),
};
