import { agentLoad } from './agent-load.ts';
import { escapes } from './escapes.ts';
import { manyAgents } from './many-agents.ts';
import { podStart } from './pod-start.ts';
import type { Question } from './question.ts';
import { rulesIntoNetns } from './rules-into-netns.ts';
import { runningPod } from './running-pod.ts';
import { storm } from './storm.ts';

/** In the order `make bench` asks them; with the lab, which comes and goes between them, they take at most 40 minutes. */
export const QUESTIONS: readonly Question[] = [
  rulesIntoNetns,
  podStart,
  storm,
  escapes,
  agentLoad,
  runningPod,
  manyAgents,
];
