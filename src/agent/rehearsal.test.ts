import { expect, it } from 'vitest';
import { NO_DEFAULTS } from '../capture/policy.ts';
import { ControllerError } from '../errors.ts';
import { TABLE } from '../ruleset/ruleset.ts';
import { rehearse } from './rehearsal.ts';

const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const options = (sidecarName: string) =>
  ({ enrollment: { excludedNamespaces: [], enroll: 'annotated', sidecarName }, defaults: NO_DEFAULTS }) as const;

function recorded() {
  const scripts: string[] = [];
  const context = {
    check: (script: string) => scripts.push(script),
    run: () => {
      throw new Error('a rehearsal wrote rules');
    },
    listTable: () => undefined,
    tableComment: () => undefined,
  };
  return { scripts, nft: () => ({ withContext: <T>(work: (given: typeof context) => T) => work(context) }) };
}

it('a rehearsal has the rules of an injected pod checked, and writes none', () => {
  const { scripts, nft } = recorded();
  rehearse(options('istio-proxy'), log, nft);
  expect(scripts[0]).toContain(`table inet ${TABLE}`);
  expect(scripts[0]).toContain('redirect to :15001');
});

it('a rehearsal that fails leaves it to the first pod to say so', () => {
  rehearse(options('istio-proxy'), log, () => {
    throw new ControllerError('LibraryMissing', 'no libnftables');
  });
  const { scripts, nft } = recorded();
  rehearse(options('other'), log, nft);
  expect(scripts).toEqual([]);
});
