import { ControllerError } from '../errors.ts';
import { message, NLM_F_DUMP, NLM_F_REQUEST, type Place, valuePlace } from './netlink.ts';
import { NETLINK_ROUTE, withNetlink } from './netlink-socket.ts';
import { AF, readAddress } from './sockaddr.ts';

/** linux/rtnetlink.h, linux/if_addr.h */
const RTM_GETADDR = 22;
const [IFA_ADDRESS, IFA_LOCAL] = [1, 2] as const;
const IFADDRMSG_BYTES = 8;
const DUMPS_MAX = 5;

/**
 * The addresses of the netns the calling thread is in, in their shortest form, of interfaces in any state. One dump: `os.networkInterfaces`
 * asks for all interfaces with their statistics as well.
 */
export function addressesHere(): readonly string[] {
  return withNetlink(NETLINK_ROUTE, (socket) => {
    for (let attempt = 1; attempt <= DUMPS_MAX; attempt += 1) {
      const addresses: string[] = [];
      const request = message(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, Buffer.alloc(IFADDRMSG_BYTES));
      const isWhole = socket.scan(request, (received, start, end) => {
        const address = addressIn(received, { start, end });
        if (address !== undefined) addresses.push(address);
      });
      if (isWhole) return addresses;
    }
    throw new ControllerError('NetnsInvalid', 'the addresses of the netns cannot be listed: they change all the time');
  });
}

/** Of one RTM_NEWADDR. */
function addressIn(received: Buffer, { start, end }: Place): string | undefined {
  const family = received.readUInt8(start) === AF[6] ? 6 : received.readUInt8(start) === AF[4] ? 4 : undefined;
  const attributes = { start: start + IFADDRMSG_BYTES, end };
  // On a point-to-point link IFA_ADDRESS is the peer's.
  const place = valuePlace(received, IFA_LOCAL, attributes) ?? valuePlace(received, IFA_ADDRESS, attributes);
  if (family === undefined || place === undefined) return undefined;
  return readAddress(family, received.subarray(place.start, place.end));
}
