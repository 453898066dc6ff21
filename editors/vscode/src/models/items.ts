import type { ModelList, ModelOffer } from '../protocol';

/** One line of the picker. */
export interface ModelItem {
  label: string;
  description: string;
  detail: string;
  offer: ModelOffer;
}

const MARKS = {
  'built-in': 'package',
  here: 'device-desktop',
  gone: 'warning',
  'to fetch': 'cloud-download',
};

/** What can be chosen: what is used is ticked, and what no bundle reads comes last. */
export function itemsOf({ models }: ModelList): ModelItem[] {
  const usable = models.filter(({ bundle }) => bundle !== null);
  const others = models.filter(({ bundle }) => bundle === null);
  return [...usable, ...others].map((offer) => ({
    label: `$(${offer.in_use ? 'check' : MARKS[offer.state]}) ${offer.name}`,
    description: [size(offer), offer.licence].filter(Boolean).join(', '),
    detail: [state(offer), reader(offer), speed(offer)].filter(Boolean).join('; '),
    offer,
  }));
}

function size({ size }: ModelOffer): string {
  return `${Math.round(size / 1e6).toLocaleString('en')} MB`;
}

function state({ state, in_use, source, path }: ModelOffer): string {
  switch (state) {
    case 'built-in':
      return in_use ? 'in use; comes with the program' : 'comes with the program';
    case 'here':
      return in_use ? 'in use' : 'on this machine';
    case 'gone':
      return `no longer at ${path}`;
    case 'to fetch':
      return `to fetch from ${source}`;
  }
}

function reader({ state, bundle }: ModelOffer): string | undefined {
  if (bundle === null) {
    return 'no bundle reads it yet';
  }
  return state === 'built-in' ? undefined : `read by the bundle ${bundle}`;
}

function speed({ tokens_per_second }: ModelOffer): string | undefined {
  return tokens_per_second === null ? undefined : `${Math.round(tokens_per_second)} tokens/s`;
}
