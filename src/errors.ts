/**
 * Every failure the product can report has one of these codes. `docs/errors.md` explains each and is tested against this table.
 * The text says what a person can do about it; the message of a particular error says which file, pod, key and value.
 */
export const ERROR_CODES = {
  Usage: 'The command line or the environment holds something that is not allowed.',
  FileUnreadable: 'A file the command was told to read cannot be read.',
  ManifestInvalid: 'A manifest is not a pod, something with a pod template, or a list of those.',
  NotPermitted: 'The process lacks a privilege it needs.',
  WrongPlatform: 'This needs Linux on x64 or arm64.',
  LibraryMissing: 'libnftables cannot be loaded.',
  NftTooOld: 'The nftables library or kernel does not know something the rules need.',
  NftRejected: 'The kernel refused the transaction; nothing was changed.',
  IptablesRejected: 'iptables refused the rules.',
  BackendUnsuited: 'No backend that is allowed can write rules here.',
  ProgramMissing: 'A program that writes rules is not installed.',
  ProgramFailed: 'A program that writes rules did not end as it should.',
  NetnsMissing: 'The network namespace is gone.',
  NetnsIsHost: "The path leads to the host's own network namespace.",
  NetnsForeign: 'The network namespace does not hold any of the IP addresses of the pod.',
  NetnsInvalid: 'The path is not a network namespace.',
  ProofFailed: 'The rules are in the kernel but do not do what they should.',
  RoutingFailed: 'Routes, rules or addresses that a policy needs could not be written or read.',
  MarkFailed: 'The mark could not be written or read.',
  RuntimeUnavailable: 'The container runtime does not answer on its socket.',
  RuntimeReply: 'The container runtime answered with something that cannot be used.',
  SandboxMissing: 'The runtime has no ready sandbox for the pod yet.',
  SandboxReplaced: 'The sandbox was replaced while the pod was being captured.',
  PodUnseen: 'The runtime makes a pod that the API server has not told of.',
  ApiUnavailable: 'The API server cannot be reached.',
  ApiRefused: 'The API server refused the request.',
  ApiReply: 'The API server answered with something that cannot be used.',
  LoginFailed: 'The login of a kubeconfig gives no credentials: its plugin, identity provider or certificate fails.',
  Internal: 'A bug in this program.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What an error can carry beside its code and message. `hint` is the way out, in one sentence. */
export interface ErrorDetails {
  readonly hint?: string;
  /** Facts for logs: netns path, pod, HTTP status. No secrets. */
  readonly fields?: Readonly<Record<string, string | number | boolean>>;
  readonly cause?: unknown;
}

/** The one error class of the product. Callers branch on `code`, never on the message. */
export class ControllerError extends Error {
  override readonly name = 'ControllerError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly fields: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.fields = details.fields ?? {};
  }
}

/** True when `error` is ours and, if codes are given, has one of them. */
export function isControllerError(error: unknown, ...codes: ErrorCode[]): error is ControllerError {
  return error instanceof ControllerError && (codes.length === 0 || codes.includes(error.code));
}

/** The message of anything that was thrown, for logs and for people. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errno name (`ENOENT`) of a Node system error, if it is one; an error of ours has a code too, but no errno. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || error instanceof ControllerError || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
