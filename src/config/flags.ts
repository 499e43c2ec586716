import { LOG_LEVELS } from '../telemetry/log.ts';
