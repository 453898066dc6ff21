// What a person sees in a workspace of two folders with settings of their own; see TWO_FOLDERS in lib/samples.mjs.
export function multiRootChecks(window) {
  return [
    ['two folders: the same program has the underlines that the settings of its folder give it', async () => {
      await window.openFile('low.py');
      await window.waitForUnderlines(3);
      await window.openFile('few.py');
      await window.waitForUnderlines(1);
      await window.screenshot('two-folders');
    }],
  ];
}
