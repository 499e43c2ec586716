import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { cgroupName, containerdSocket } from '../../lab/paths.ts';
import { at, textAt } from '../../test/support/cluster.ts';
import type { StoredPod } from './api.ts';

/**
 * Makes and removes pod sandboxes as kubelet does, without kubelet: RunPodSandbox, StopPodSandbox, RemovePodSandbox of CRI v1
 * (field numbers: k8s.io/cri-api, api.proto). The product's own client holds nothing that writes, so this one is separate.
 */
export interface SandboxMaker {
  /** Returns the sandbox's id once its network and its first process are there. */
  run(pod: StoredPod): Promise<string>;
  stopAndRemove(sandboxId: string): Promise<void>;
  close(): void;
}

const CALL_TIMEOUT_MS = 60_000;
/** Where kubelet puts pods of no quality of service; the lab's own, so that whatever stays is found by `down`. */
const CGROUP_PARENT = `/${cgroupName}/kubepods/besteffort`;

export function createSandboxMaker(socketPath: string = containerdSocket): SandboxMaker {
  const session = connectHttp2('http://localhost', { createConnection: () => connect(socketPath) });
  session.on('error', () => undefined);
  return {
    run: async (pod) =>
      firstText(
        await call(
          session,
          'RunPodSandbox',
          message((writer) => sub(writer, 1, config(pod))),
        ),
      ),
    stopAndRemove: async (sandboxId) => {
      const request = message((writer) => text(writer, 1, sandboxId));
      await call(session, 'StopPodSandbox', request);
      await call(session, 'RemovePodSandbox', request);
    },
    close: () => session.close(),
  };
}

/**
 * PodSandboxConfig: metadata 1, hostname 2, labels 6, annotations 7, linux 8 { cgroup_parent 1, security_context 2 }. With the pod's own
 * labels and annotations, as kubelet gives them: the runtime's hook tells by them whether a pod may be ours.
 */
function config({ name, namespace, uid, object }: StoredPod): (writer: BinaryWriter) => void {
  const labels = {
    ...textsAt(object, 'metadata', 'labels'),
    'io.kubernetes.pod.name': name,
    'io.kubernetes.pod.namespace': namespace,
    'io.kubernetes.pod.uid': uid,
  };
  return (writer) => {
    sub(writer, 1, (metadata) => {
      text(metadata, 1, name);
      text(metadata, 2, uid);
      text(metadata, 3, namespace);
    });
    text(writer, 2, name);
    texts(writer, 6, labels);
    texts(writer, 7, textsAt(object, 'metadata', 'annotations'));
    sub(writer, 8, (linux) => {
      text(linux, 1, CGROUP_PARENT);
      sub(linux, 2, () => undefined);
    });
  };
}

function texts(writer: BinaryWriter, field: number, map: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(map)) {
    sub(writer, field, (entry) => {
      text(entry, 1, key);
      text(entry, 2, value);
    });
  }
}

function message(fill: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  fill(writer);
  return writer.finish();
}

function sub(writer: BinaryWriter, field: number, fill: (writer: BinaryWriter) => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  fill(writer);
  writer.join();
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

/** What stands at a path of JSON, as names and texts. */
function textsAt(value: unknown, ...path: readonly string[]): Readonly<Record<string, string>> {
  const found = at(value, ...path) ?? {};
  return Object.fromEntries(Object.keys(found).map((key) => [key, textAt(found, key)]));
}

/** Field 1 of a reply, which is a text; empty if there is none. */
function firstText(reply: Uint8Array): string {
  const reader = new BinaryReader(reply);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) return reader.string();
    reader.skip(wireType);
  }
  return '';
}

/** One unary gRPC call: a five-byte head (not compressed, length) before each message, the outcome in the trailers. */
function call(session: ClientHttp2Session, method: string, request: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const stream = session.request({
    ':method': 'POST',
    ':path': `/runtime.v1.RuntimeService/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const chunks: Buffer[] = [];
  let status: unknown;
  let reason: unknown;
  const note = (headers: Readonly<Record<string, unknown>>) => {
    status = headers['grpc-status'] ?? status;
    reason = headers['grpc-message'] ?? reason;
  };
  stream.on('response', note);
  stream.on('trailers', note);
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', reject);
  stream.setTimeout(CALL_TIMEOUT_MS, () => stream.destroy(new Error(`${method}: no answer`)));
  stream.on('close', () => {
    if (String(status) === '0') resolve(Buffer.concat(chunks).subarray(5));
    else reject(new Error(`${method}: grpc-status ${String(status)} ${decodeURIComponent(String(reason))}`));
  });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(request.length, 1);
  stream.end(Buffer.concat([head, request]));
  return promise;
}
