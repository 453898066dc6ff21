import { commands, type QuickPickItem, window } from 'vscode';
import type { AddedModel, FetchedModel, ModelList, ModelOffer } from '../protocol';
import type { Server } from '../server/server';
import { itemsOf } from './items';

interface Item extends QuickPickItem {
  offer?: ModelOffer;
}

const ADD: Item = {
  label: '$(add) Add a model file...',
  detail: 'a GGUF file that is on this machine already',
};

/** Choose the model that gives the numbers; one that is not here is fetched first, once the person has agreed. */
export async function chooseModel(server: Server): Promise<void> {
  const list = await server.execute<ModelList>('riskLsp.listModels');
  if (list.setting !== null) {
    await sayThatTheSettingRules(list.setting);
    return;
  }
  const items: Item[] = [...itemsOf(list), ADD];
  const placeHolder = `In use: ${list.models.find(({ in_use }) => in_use)?.name ?? list.chosen}`;
  const chosen = await window.showQuickPick(items, {
    title: 'Choose a model',
    placeHolder,
    matchOnDescription: true,
  });
  if (chosen === ADD) {
    await add(server);
  } else if (chosen?.offer) {
    await use(server, chosen.offer);
  }
}

async function use(server: Server, { name, state, bundle }: ModelOffer): Promise<void> {
  if (bundle === null) {
    const how = `fit one with risk-lsp probe fit FOLDER --model ${name} --data PROGRAMS`;
    void window.showInformationMessage(`risk-lsp: no bundle reads ${name} yet; ${how}.`);
    return;
  }
  if (state === 'to fetch') {
    const answer = await server.executeWithProgress<FetchedModel>('riskLsp.fetchModel', name);
    if (answer?.status === 'failed') {
      throw new Error(answer.message);
    }
    if (answer?.status !== 'fetched') {
      return;
    }
  }
  await server.execute('riskLsp.useModel', name);
}

async function add(server: Server): Promise<void> {
  const filters = { 'GGUF models': ['gguf'], 'All files': ['*'] };
  const [file] = (await window.showOpenDialog({ title: 'Add a model', filters })) ?? [];
  if (!file) {
    return;
  }
  const { name, bundle } = await server.execute<AddedModel>('riskLsp.addModel', file.fsPath);
  await use(server, { name, bundle, state: 'here' } as ModelOffer);
}

async function sayThatTheSettingRules(bundle: string): Promise<void> {
  const open = 'Open the Setting';
  const words = `risk-lsp: the setting riskLsp.bundle names ${bundle}, which goes before what is chosen here.`;
  if ((await window.showWarningMessage(words, open)) === open) {
    await commands.executeCommand('workbench.action.openSettings', 'riskLsp.bundle');
  }
}
