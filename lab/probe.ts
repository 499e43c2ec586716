import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

const TIMEOUT_MS = 3_000;

/** True if the URL answers 200 within three seconds. Bodies are not read. */
export function httpOk(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = httpRequest(url, { timeout: TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', () => resolve(false));
    request.end();
  });
}

/** Like `httpOk`; a health endpoint is only asked whether it is there, so its self-made certificate is not checked. */
export function httpsOk(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = httpsRequest(url, { timeout: TIMEOUT_MS, rejectUnauthorized: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', () => resolve(false));
    request.end();
  });
}
