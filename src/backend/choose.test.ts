import { describe, expect, it } from 'vitest';
import { ControllerError } from '../errors.ts';
import { BACKEND_NAMES, type Backend, type BackendName } from './backend.ts';
import { createBackends } from './backends.ts';
import { type BackendChoice, candidates, type RuleHolder } from './choose.ts';

describe('candidates', () => {
  const of = (choice: BackendChoice, standing: readonly RuleHolder[], ownUserNamespace = false) =>
    candidates(choice, { standing, ownUserNamespace });

  it.each<[BackendChoice, readonly RuleHolder[], readonly BackendName[]]>([
    ['auto', [], BACKEND_NAMES],
    ['iptables-nft', [], ['iptables-nft']],
    ['auto', ['iptables-legacy'], ['iptables-legacy']],
    ['nft', ['iptables-nft'], ['iptables-nft']],
    ['iptables-nft', ['nft'], ['nft', 'nft-spawned']],
    ['nft-spawned', ['nft'], ['nft-spawned']],
    ['auto', ['iptables-nft', 'nft'], ['nft', 'nft-spawned']],
    ['iptables-legacy', ['nft', 'iptables-legacy'], ['iptables-legacy']],
  ])('with %s where %j stands: %j', (choice, standing, names) => {
    expect(of(choice, standing)).toEqual(names);
  });

  it('leave only nft to a user namespace of its own, and say so where nothing is left', () => {
    expect(of('auto', [], true)).toEqual(['nft', 'nft-spawned']);
    expect(() => of('iptables-legacy', [], true)).toThrow(/iptables-legacy cannot match owners .* hostUsers: false/);
    expect(() => of('auto', ['iptables-nft'], true)).toThrow(expect.objectContaining({ code: 'BackendUnsuited' }));
  });
});

describe('what works', () => {
  function world(
    failing: Partial<Record<BackendName, ControllerError>>,
    standing: readonly RuleHolder[] = [],
    legacyChains = () => true,
  ) {
    const checks: BackendName[] = [];
    const maker = (name: BackendName) => ({
      make: (): Backend => ({ name, bring: never, clean: never, inspect: never }),
      check: () => {
        checks.push(name);
        if (failing[name] !== undefined) throw failing[name];
      },
    });
    const backends = (choice: BackendChoice) =>
      createBackends({
        choice,
        makers: {
          nft: maker('nft'),
          'nft-spawned': maker('nft-spawned'),
          'iptables-nft': maker('iptables-nft'),
          'iptables-legacy': maker('iptables-legacy'),
        },
        traces: {
          nftTable: () => standing.includes('nft'),
          nftChains: () => standing.includes('iptables-nft'),
          legacyTables: () => (standing.includes('iptables-legacy') ? ['nat'] : undefined),
        },
        legacyChains,
      });
    return { checks, backends };
  }
  const missing = new ControllerError('LibraryMissing', 'no library', { hint: 'Install it.' });
  const fresh = { fresh: true, ownUserNamespace: false };

  it('legacy tables that may not be looked into count only where rules of ours must be in them', () => {
    const forbidden = () => {
      throw new ControllerError('NotPermitted', 'no NET_RAW');
    };
    const marked = { fresh: false, ownUserNamespace: false };
    const chosen = (standing: readonly RuleHolder[], visit: typeof marked) =>
      world({}, standing, forbidden).backends('auto').choose(visit).backend.name;
    expect(chosen(['iptables-legacy'], fresh)).toBe('nft');
    expect(chosen(['nft', 'iptables-legacy'], marked)).toBe('nft');
    expect(() => chosen(['iptables-legacy'], marked)).toThrow('no NET_RAW');
  });

  it('is found once and remembered', () => {
    const { checks, backends } = world({ nft: missing });
    const one = backends('auto');
    expect([one.preferred(), one.choose(fresh).backend.name, one.preferred()]).toEqual(Array(3).fill('nft-spawned'));
    expect(checks).toEqual(['nft', 'nft-spawned']);
  });

  it('of a chosen one is told in its own words, of all in one line each', () => {
    expect(() => world({ nft: missing }).backends('nft').preferred()).toThrow(missing);
    const none = { nft: missing, 'nft-spawned': missing, 'iptables-nft': missing, 'iptables-legacy': missing };
    expect(() => world(none).backends('auto').preferred()).toThrow(
      /no backend works on this node: nft: no library; nft-spawned: no library; .*iptables-legacy: no library$/,
    );
  });

  it.each(['NotPermitted', 'ProgramFailed'] as const)('is not decided by %s', (code) => {
    const failing: Partial<Record<BackendName, ControllerError>> = { nft: new ControllerError(code, 'not now') };
    const one = world(failing).backends('auto');
    expect(() => one.preferred()).toThrow('not now');
    delete failing.nft;
    expect(one.preferred()).toBe('nft');
  });

  it('what stands there is kept, and what is left over is told', () => {
    const { backends } = world({}, ['nft', 'iptables-legacy']);
    const chosen = backends('iptables-nft').choose({ fresh: false, ownUserNamespace: false });
    expect([chosen.backend.name, chosen.leftBehind.map(({ name }) => name)]).toEqual(['nft', ['iptables-legacy']]);
    expect(
      backends('auto')
        .standing()
        .map(({ name }) => name),
    ).toEqual(['nft', 'iptables-legacy']);
  });
});

function never(): never {
  throw new Error('not to be called');
}
