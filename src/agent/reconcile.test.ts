import { describe, expect, it } from 'vitest';
import { ControllerError } from '../errors.ts';
import { agentOverFakes, meshPod, sandbox } from './fake-agent.ts';
import type { Turn } from './reconcile.ts';

function codeOf(turn: Turn): string {
  return turn.kind === 'retry' ? turn.error.code : 'settled';
}

describe('one pod, turn by turn', () => {
  it('waits for the sandbox, captures, reports once, and then has nothing to do', async () => {
    const { world, turn } = agentOverFakes();
    await turn();
    expect(world.expected).toEqual(['default/a']);
    world.sandboxes = [sandbox('s1')];
    expect(codeOf(await turn())).toBe('settled');
    await turn();
    await turn();
    expect(world.marked).toEqual(['/var/run/netns/s1']);
    expect(world.patches).toHaveLength(1);
    expect(world.notices.map((notice) => notice.reason)).toEqual(['Captured']);
    expect(world.guarded.at(-1)).toBe('s1');
    expect(world.decisions).toEqual(['Enrolled']);
  });

  it('captures a re-created sandbox although the old annotation is still there', async () => {
    const { world, turn } = agentOverFakes();
    world.sandboxes = [sandbox('s1')];
    await turn();
    world.sandboxes = [sandbox('s2')];
    await turn();
    expect(world.marked).toEqual(['/var/run/netns/s1', '/var/run/netns/s2']);
    expect(world.patches).toHaveLength(2);
  });

  it('does not mark when the sandbox was replaced while it was programmed, and comes back', async () => {
    const { world, turn } = agentOverFakes();
    world.sandboxes = [sandbox('s1')];
    world.goneAtSecondLook.add('s1');
    expect(codeOf(await turn())).toBe('SandboxReplaced');
    expect(world.begun).toEqual(['/var/run/netns/s1']);
    expect(world.marked).toEqual([]);
    expect(world.closed).toBe(1);
  });

  it('does not mark for a pod that was deleted meanwhile', async () => {
    const { world, turn } = agentOverFakes();
    world.sandboxes = [sandbox('s1')];
    const running = turn();
    world.pods.delete('default/a');
    expect(codeOf(await running)).toBe('SandboxReplaced');
    expect(world.marked).toEqual([]);
  });

  it('retries telling without capturing again when the API server is away', async () => {
    const { world, turn } = agentOverFakes();
    world.sandboxes = [sandbox('s1')];
    world.patchError = new ControllerError('ApiUnavailable', 'connection refused');
    expect(codeOf(await turn())).toBe('ApiUnavailable');
    expect(world.marked).toHaveLength(1);
    world.patchError = undefined;
    expect(codeOf(await turn())).toBe('settled');
    expect(world.begun).toHaveLength(1);
    expect(world.patches).toHaveLength(1);
    expect(world.notices).toHaveLength(1);
  });

  it('stays silent after a restart when the netns and the annotation are as they should be', async () => {
    const first = agentOverFakes();
    first.world.sandboxes = [sandbox('s1')];
    await first.turn();
    const written = Object.entries(first.world.patches[0] ?? {}).filter(
      (entry): entry is [string, string] => entry[1] !== null,
    );
    const second = agentOverFakes();
    second.world.action = 'kept';
    second.world.sandboxes = [sandbox('s1')];
    second.world.pods.set('default/a', meshPod({ annotations: Object.fromEntries(written) }));
    await second.turn();
    expect(second.world.patches).toEqual([]);
    expect(second.world.notices).toEqual([]);
  });

  it.each(['NetnsMissing', 'NetnsIsHost', 'NetnsForeign', 'RuntimeUnavailable'] as const)(
    'comes back after %s, with a growing pause',
    async (code) => {
      const { world, turn } = agentOverFakes();
      world.sandboxes = [sandbox('s1')];
      world.beginError = new ControllerError(code, 'no');
      const first = await turn();
      const second = await turn();
      expect(codeOf(first)).toBe(code);
      if (first.kind !== 'retry' || second.kind !== 'retry') throw new Error('expected two retries');
      expect(second.afterMs).toBeGreaterThan(first.afterMs);
      expect(world.refusals).toEqual([]);
      world.beginError = undefined;
      expect(codeOf(await turn())).toBe('settled');
    },
  );

  it('tells the gate that the kernel refuses the rules, and keeps trying', async () => {
    const { world, turn } = agentOverFakes();
    world.sandboxes = [sandbox('s1')];
    world.beginError = new ControllerError('NftRejected', 'no such file');
    expect(codeOf(await turn())).toBe('NftRejected');
    expect(world.refusals).toEqual(['NftRejected: no such file']);
  });

  it('refuses a setting that does not parse: netns, annotation, Event, each naming key and value', async () => {
    const { world, turn } = agentOverFakes();
    world.pods.set(
      'default/a',
      meshPod({ annotations: { 'traffic.sidecar.istio.io/excludeOutboundPorts': '80;443' } }),
    );
    world.sandboxes = [sandbox('s1')];
    expect(codeOf(await turn())).toBe('settled');
    expect(world.begun).toEqual([]);
    for (const text of [
      world.refusals[0],
      world.patches[0]?.['pod-network-controller.istio.io/message'],
      world.notices[0]?.note,
    ]) {
      expect(text).toContain('excludeOutboundPorts');
      expect(text).toContain('80;443');
    }
    expect(world.notices[0]?.type).toBe('Warning');
  });

  it('never asks the runtime about a pod that is not ours', async () => {
    const { world, turn } = agentOverFakes();
    world.pods.set('default/a', meshPod({ annotations: { 'istio-pod-network-controller/initialize': 'false' } }));
    await turn();
    world.pods.set('default/a', meshPod({ hostNetwork: true }));
    await turn();
    expect(world.listed).toBe(0);
    expect(world.decisions).toEqual(['OptedOut', 'HostNetwork']);
  });

  it('waits for a namespace it has not seen', async () => {
    const { world, turn } = agentOverFakes();
    world.namespaces.clear();
    expect(codeOf(await turn())).toBe('ApiReply');
  });

  it('refuses a sandbox without a netns path, or on the host network', async () => {
    const { world, turn } = agentOverFakes();
    world.sandboxes = [sandbox('s1', { netnsPath: undefined })];
    expect(codeOf(await turn())).toBe('RuntimeReply');
    world.sandboxes = [sandbox('s1', { hostNetwork: true })];
    expect(codeOf(await turn())).toBe('NetnsIsHost');
  });

  it('takes a pod of the same name made anew for another pod', async () => {
    const { world, records, turn } = agentOverFakes();
    world.sandboxes = [sandbox('s1')];
    await turn();
    world.pods.set('default/a', meshPod({ uid: 'uid-2' }));
    world.sandboxes = [sandbox('s2', { podUid: 'uid-2' })];
    await turn();
    expect(records.find('uid-1')).toBeUndefined();
    expect(world.marked).toHaveLength(2);
  });
});
