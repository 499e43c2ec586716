import { isIP } from 'node:net';
import { ControllerError, messageOf } from '../../errors.ts';

/** What a verbose PodSandboxStatus tells beyond its fields. */
export interface VerboseInfo {
  readonly netnsPath: string | undefined;
  readonly pid: number | undefined;
  /** What kubelet wrote into the pod's resolv.conf; undefined where the runtime does not say (CRI-O). */
  readonly nameservers: readonly string[] | undefined;
}

/** A runtime spec is some tens of kB; the bound keeps a broken runtime from stalling the event loop in JSON.parse. */
export const INFO_BYTES_MAX = 4 * 1024 * 1024;

/** The C library reads three (MAXNS); kubelet and Kubernetes' validation go by that. */
const NAMESERVERS_MAX = 16;

/** PATH_MAX of Linux. */
const PATH_CHARACTERS_MAX = 4096;

/**
 * Reads the runtime's own JSON, which containerd and CRI-O both put under the key `info`. `runtimeSpec.linux.namespaces` is the one
 * place where both say the netns path; `pid` is missing with CRI-O when the pod has no infra container and 0 for a stopped sandbox.
 * Parts that are absent are undefined; parts of the wrong form throw `RuntimeReply`.
 */
export function readVerboseInfo(info: Readonly<Record<string, string>>, sandboxId: string): VerboseInfo {
  const text = info.info;
  if (text === undefined || text === '') return { netnsPath: undefined, pid: undefined, nameservers: undefined };
  // One character is at most three bytes of UTF-8, and at least one.
  if (text.length > INFO_BYTES_MAX)
    throw unusable(sandboxId, `has ${text.length} characters, at most ${INFO_BYTES_MAX}`);
  const document = asObject(parseJson(text, sandboxId));
  if (document === undefined) throw unusable(sandboxId, 'is not a JSON object');
  return { netnsPath: netnsPathIn(document, sandboxId), pid: pidIn(document), nameservers: nameserversIn(document) };
}

/** The addresses that are addresses, in order. A sandbox whose network is gone has empty ones. */
export function usableIps(ips: readonly string[]): readonly string[] {
  return ips.filter((ip) => isIP(ip) !== 0);
}

function netnsPathIn(document: JsonObject, sandboxId: string): string | undefined {
  const namespaces = asObject(asObject(document.runtimeSpec)?.linux)?.namespaces;
  if (!Array.isArray(namespaces)) return undefined;
  const network = namespaces.map(asObject).find((namespace) => namespace?.type === 'network');
  const path = network?.path;
  // Without a path runc makes the netns itself: the runtime does not tell where.
  if (path === undefined || path === '') return undefined;
  if (typeof path !== 'string' || !isPlainAbsolutePath(path)) {
    throw unusable(
      sandboxId,
      `names the netns ${JSON.stringify(path).slice(0, 200)}, not an absolute path without ".."`,
    );
  }
  return path;
}

/** A path that names one place, whatever the current folder. */
export function isPlainAbsolutePath(path: string): boolean {
  if (!path.startsWith('/') || path.length > PATH_CHARACTERS_MAX || path.includes('\0')) return false;
  return !path.split('/').includes('..');
}

function pidIn(document: JsonObject): number | undefined {
  const pid = document.pid;
  return typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

/** containerd keeps the whole CRI PodSandboxConfig there, with the names of its Go tags. */
function nameserversIn(document: JsonObject): readonly string[] | undefined {
  const config = asObject(document.config);
  if (config === undefined) return undefined;
  const servers = asObject(config.dns_config)?.servers;
  // Go leaves an empty list out.
  if (servers === undefined) return [];
  if (!Array.isArray(servers)) return undefined;
  return servers.filter((server) => typeof server === 'string').slice(0, NAMESERVERS_MAX);
}

type JsonObject = Readonly<Record<string, unknown>>;

function asObject(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

function parseJson(text: string, sandboxId: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error: unknown) {
    throw unusable(sandboxId, `is not JSON: ${messageOf(error)}`, error);
  }
}

function unusable(sandboxId: string, why: string, cause?: unknown): ControllerError {
  return new ControllerError('RuntimeReply', `the runtime's verbose info of sandbox ${sandboxId} ${why}`, {
    hint: 'containerd and CRI-O give a JSON object with runtimeSpec there; check --cri-socket and the runtime version.',
    fields: { sandbox: sandboxId },
    cause,
  });
}
