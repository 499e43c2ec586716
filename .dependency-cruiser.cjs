/**
 * Import direction: the path of a pod, left to right (docs: ARCHITECTURE.md). A folder may import what it lists, and the leaves beside the folders:
 * src/errors.ts, src/cut-text.ts, src/address.ts, src/text-within.ts.
 * Pure folders import no effect. Only commands/ sees both ends; nothing imports commands/ or main.ts.
 */
const allowed = {
  errors: [],
  pod: [],
  enrollment: ['pod'],
  capture: ['pod', 'enrollment'],
  ruleset: ['capture'],
  backend: ['ruleset'],
  netns: ['ruleset'],
  sandbox: ['pod', 'telemetry'],
  kube: [],
  telemetry: [],
  admission: ['pod', 'enrollment', 'capture'],
  'admission/webhook': ['admission', 'enrollment', 'pod', 'kube', 'telemetry'],
  config: ['capture', 'enrollment', 'telemetry', 'backend/choose'],
  gate: ['netns/mark-text'],
  status: ['pod', 'enrollment', 'capture', 'agent/report'],
  preflight: ['enrollment', 'agent/report'],
  kubeconfig: ['kube'],
  agent: ['pod', 'enrollment', 'capture', 'ruleset', 'backend', 'netns', 'sandbox', 'kube', 'telemetry'],
};

/** Folders inside of a folder that have a rule of their own. */
const within = (folder) => Object.keys(allowed).filter((name) => name.startsWith(`${folder}/`));

const directionRules = Object.entries(allowed).map(([folder, imports]) => ({
  name: `direction-${folder.replace('/', '-')}`,
  severity: 'error',
  comment: `src/${folder} may import: ${['errors', ...imports].join(', ')}`,
  from: {
    path: folder === 'errors' ? '^src/errors\\.ts$' : `^src/${folder}/`,
    pathNot: ['\\.test\\.ts$', ...within(folder).map((name) => `^src/${name}/`)],
  },
  to: {
    path: '^src/',
    pathNot: [
      `^src/${folder}/${within(folder).map((name) => `(?!${name.slice(folder.length + 1)}/)`).join('')}`,
      '^src/(errors|cut-text|address|text-within)\\.ts$',
      ...imports.map((name) => `^src/${name}[/.]`),
    ],
  },
}));

const pure = '^src/((pod|enrollment|capture|ruleset|status|preflight|admission(?!/webhook))/|(address|cut-text)\\.ts$)';

module.exports = {
  forbidden: [
    ...directionRules,
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'pure-folders-have-no-effects',
      severity: 'error',
      comment: 'pure folders compute; node:net is for isIP and BlockList, node:crypto for the hash',
      from: { path: pure, pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(net|crypto)$' },
    },
    {
      name: 'no-child-process-in-the-product',
      severity: 'error',
      comment: 'only the fallback backends start programs, and only there: no shell, fixed PATH, bounded time and output',
      from: { path: '^src/', pathNot: ['\\.test\\.ts$', '^src/testing/', '^src/backend/process\\.ts$'] },
      to: { path: '^(node:)?child_process$' },
    },
    {
      name: 'one-ffi-surface',
      severity: 'error',
      comment: 'koffi is wrapped in netns/libc.ts and backend/nft/libnftables.ts so that it can be replaced',
      from: { path: '^src/', pathNot: ['^src/netns/libc\\.ts$', '^src/backend/nft/libnftables\\.ts$', '\\.test\\.ts$'] },
      to: { path: 'node_modules/koffi' },
    },
    {
      name: 'one-login',
      severity: 'error',
      comment: '@kubernetes/client-node is larger than all else together: loaded only where a person logs in, and only then',
      from: { path: '^src/', pathNot: ['^src/kubeconfig/library\\.ts$', '\\.test\\.ts$'] },
      to: { path: 'node_modules/@kubernetes/client-node' },
    },
    {
      name: 'tests-are-not-imported',
      severity: 'error',
      from: { path: '^(src|lab|image|scripts)/', pathNot: '\\.test\\.ts$' },
      to: { path: '(\\.test\\.ts$|^test/)' },
    },
    {
      name: 'the-product-knows-nothing-of-the-lab',
      severity: 'error',
      from: { path: '^(src|chart|image)/', pathNot: '\\.test\\.ts$' },
      to: { path: '^(lab|scripts|bench)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
