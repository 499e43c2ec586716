/** What tests and benchmarks use of a running lab; everything else of it is its own business. */
export { auditedRequests, type AuditedRequest, type AuditQuery } from './audit.ts';
export { readEscapes, type EscapeCounters } from './guard.ts';
export { ensureHelm3 } from './helm3.ts';
export { loadImage } from './images.ts';
export { installIstio, removeIstioRevision, resetIstio, type IstioOptions } from './istio.ts';
export type { IstioMode } from './istio-mode.ts';
export { apply, kubectl, waitAvailable } from './kubectl.ts';
export { cachedParts } from './parts.ts';
export { containerdSocket, lab, network, nriSocket } from './paths.ts';
export { tokenFor, tokenKubeconfig, userKubeconfig, type TokenOf, type User } from './tokens.ts';
export { restartProcess, startProcess, stopProcess, type Restartable, type StopOptions } from './restart.ts';
