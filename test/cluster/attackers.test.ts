import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readyAgent } from '../support/cluster-agent.ts';
import type { Attack } from '../support/cluster-policy-attack.ts';
import { API_ATTACKS } from '../support/cluster-policy-attacks.ts';
import { AUTHOR_ATTACKS } from '../support/cluster-policy-author.ts';
import { INSIDE_ATTACKS, stateInside } from '../support/cluster-policy-inside.ts';
import {
  ATTACKED,
  BY_HAND,
  type Cast,
  OTHER_NODE,
  podPath,
  raiseStage,
  stateOfStage,
  strikeStage,
} from '../support/cluster-policy-stage.ts';
import { removePolicies, whoRefused } from '../support/cluster-policy.ts';
import { appPod, getPod, handMadeGate, standInSidecar } from '../support/cluster-pods.ts';
import { ask } from '../support/cluster-tokens.ts';
import {
  apply,
  at,
  GATE,
  kubectl,
  kubectlJson,
  listAt,
  MESSAGE,
  STATUS,
  textAt,
  tryKubectl,
  waitFor,
} from '../support/cluster.ts';

/** docs/security.md is about these: every row there is a row here. */
let cast: Cast;
const table: string[][] = [['attacker', 'action', 'stopped by', 'in its words']];

beforeAll(async () => {
  cast = await raiseStage(await readyAgent());
});
afterAll(async () => {
  process.stdout.write(`${aligned(table)}\n`);
  await strikeStage();
  await removePolicies(['proxy-identity']);
});

describe('through the API server', () => {
  it.each([...API_ATTACKS, ...AUTHOR_ATTACKS])('$attacker: $action', async (attack) => {
    const before = await stateOfStage();
    const message = await attempt(attack);
    if (attack.stoppedBy === 'nothing') await attack.undo?.(cast);
    else expect(message).not.toBe('');
    expect(await stateOfStage()).toBe(before);
  });
});

describe('what they are meant to do goes on', () => {
  const set = { metadata: { annotations: { [MESSAGE]: 'by a test' } } };
  const dry = (path: string): string => `${path}?dryRun=All`;
  const patch = (path: string, body: unknown) => ({ method: 'PATCH', path: dry(path), body }) as const;

  it('the agent writes to pods of its node', async () => {
    expect(await ask(cast.agent, patch(podPath(ATTACKED, 'victim', 'status'), set))).toMatchObject({ status: 200 });
  });

  it('and the agent of the other node to pods of that one', async () => {
    expect(await ask(cast.agentElsewhere, patch(podPath(ATTACKED, 'far', 'status'), set))).toMatchObject({
      status: 200,
    });
  });

  it.each(['author', 'namespaceAdmin', 'clusterAdmin'] as const)(
    '%s annotates and labels captured pods',
    async (who) => {
      const other = { metadata: { annotations: { 'example.org/note': 'x' }, labels: { tier: 'x' } } };
      expect(await ask(cast[who], patch(podPath(ATTACKED, 'victim'), other))).toMatchObject({ status: 200 });
    },
  );

  it('kubelet reports about captured pods', async () => {
    const status = { status: { conditions: [{ type: 'example.org/Seen', status: 'True' }] } };
    const contentType = 'application/strategic-merge-patch+json';
    const request = { ...patch(podPath(ATTACKED, 'victim', 'status'), status), contentType };
    expect(await ask(cast.kubelet, request)).toMatchObject({ status: 200 });
  });

  it('the scheduler binds pods', async () => {
    const target = { apiVersion: 'v1', kind: 'Node', name: OTHER_NODE };
    const body = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'unbound' }, target };
    expect(await ask(cast.scheduler, { path: dry(podPath(ATTACKED, 'unbound', 'binding')), body })).toMatchObject({
      status: 201,
    });
  });

  it('mesh pods whose containers have ids of their own are admitted, supplementary groups are not looked at', async () => {
    const securityContext = {
      runAsNonRoot: true,
      runAsUser: 1000,
      runAsGroup: 1000,
      fsGroup: 1337,
      seccompProfile: { type: 'RuntimeDefault' },
    };
    const initContainers = [await handMadeGate([]), standInSidecar()];
    const body = appPod('ordinary', { initContainers, spec: { securityContext } });
    expect(await ask(cast.author, { path: dry(`/api/v1/namespaces/${BY_HAND}/pods`), body })).toMatchObject({
      status: 201,
    });
  });

  it.each(['resize', 'ephemeralcontainers'])('pods/%s carries no annotation to the pod', async (subresource) => {
    const contentType = 'application/merge-patch+json';
    const body = { metadata: { annotations: { [STATUS]: 'failed', 'example.org/note': 'x' } } };
    const path = dry(podPath(ATTACKED, 'victim', subresource));
    const answer = await ask(cast.clusterAdmin, { method: 'PATCH', path, contentType, body });
    expect(answer.status).toBe(200);
    const { metadata } = Object(await getPod(ATTACKED, 'victim'));
    expect(at(answer.body, 'metadata', 'annotations')).toEqual(metadata.annotations);
  });

  it('a gate that is not first is put there', async () => {
    const body = appPod('late', { initContainers: [standInSidecar(), await handMadeGate([])] });
    const answer = await ask(cast.author, { path: dry(`/api/v1/namespaces/${BY_HAND}/pods`), body });
    expect(textAt(answer.body, 'spec', 'initContainers', 0, 'name'), answer.message).toBe(GATE);
  });
});

describe('who meets the annotations policy by accident is told what to do', () => {
  it('a copy of a captured pod', async () => {
    const copy = (name: string, ...more: string[]) =>
      tryKubectl(['debug', 'victim', '-n', ATTACKED, `--copy-to=${name}`, '--profile=restricted', ...DEBUG, ...more]);
    expect((await copy('copy', '--keep-annotations')).stderr).toMatch(/-annotations'.*Leave it out of the .*copy/s);
    expect((await copy('plain-copy')).stderr).not.toMatch(/forbidden/);
    await kubectl(['delete', 'pod', '-n', ATTACKED, 'plain-copy', '--timeout=60s']);
  });

  it('a pod template that carries the annotation: its Deployment says so', async () => {
    await apply([deploymentWith({ [STATUS]: 'initialized' })], BY_HAND);
    const said = await waitFor(
      'the Deployment reports the failure',
      async () => {
        const conditions = listAt(
          await kubectlJson(['get', 'deployment', '-n', BY_HAND, 'preset']),
          'status',
          'conditions',
        );
        const failure = conditions.find((condition) => at(condition, 'type') === 'ReplicaFailure');
        return textAt(failure, 'message') || undefined;
      },
      { timeoutMs: 30_000 },
    );
    expect(said).toMatch(/-annotations'.*Leave it out of the manifest, pod template/s);
    await kubectl(['delete', 'deployment', '-n', BY_HAND, 'preset']);
  });
});

// Last: what is not stopped cannot be undone in the pods' kernel.
describe('in the pods', () => {
  it.each(INSIDE_ATTACKS)('$attacker: $action', async (attack) => {
    const before = await stateInside();
    await attempt(attack);
    if (attack.stoppedBy === 'nothing') expect(await stateInside()).not.toBe(before);
    else expect(await stateInside()).toBe(before);
  });
});

const DEBUG = ['--image=docker.io/library/none:1', '--image-pull-policy=Never', '-c', 'debugger', '--attach=false'];

function deploymentWith(annotations: Readonly<Record<string, string>>): object {
  const { metadata, spec } = Object(appPod('preset', { annotations }));
  const labels = { app: 'preset' };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'preset' },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { annotations: metadata.annotations, labels }, spec },
    },
  };
}

async function attempt(attack: Attack): Promise<string> {
  const message = await attack.attempt(cast);
  const stoppedBy = message === '' ? 'nothing' : whoRefused(message);
  table.push([attack.attacker, attack.action, stoppedBy, shortened(message)]);
  expect(stoppedBy, message).toBe(attack.stoppedBy);
  return message;
}

/** Without what the API server puts before every such message. */
function shortened(message: string): string {
  const words = message.replace(/^.*denied request: /s, '').replace(/\s+/g, ' ');
  return words.length > 110 ? `${words.slice(0, 109)}…` : words;
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join(' | ')
        .trimEnd(),
    )
    .join('\n');
}
